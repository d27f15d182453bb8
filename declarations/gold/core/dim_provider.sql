SELECT
    provider.provider_key,
    provider.source_system,
    provider.provider_id,
    COALESCE(provider.provider_name, 'Unknown') AS provider_name,
    provider.specialization,
    COALESCE(department.department_key, -1) AS department_key,
    provider.npi,
    COALESCE(registered.npi_key, -1) AS npi_key
FROM silver.provider AS provider
LEFT JOIN gold.dim_department AS department
    ON provider.department_key = department.department_key
LEFT JOIN gold.dim_npi AS registered
    ON provider.npi = registered.npi

UNION ALL

SELECT
    CAST(-1 AS BIGINT),
    'Unknown',
    'Unknown',
    'Unknown',
    'Unknown',
    CAST(-1 AS BIGINT),
    'Unknown',
    CAST(-1 AS BIGINT)
