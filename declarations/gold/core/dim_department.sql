SELECT
    department_key,
    source_system,
    department_id,
    COALESCE(department_name, 'Unknown') AS department_name
FROM silver.department

UNION ALL

SELECT
    CAST(-1 AS BIGINT),
    'Unknown',
    'Unknown',
    'Unknown'
