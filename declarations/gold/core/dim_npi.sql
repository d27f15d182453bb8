WITH listed AS (
    SELECT
        npi_key,
        source_system,
        npi,
        entity_type,
        npi_name,
        taxonomy_code,
        practice_state,
        enumerated_on,
        deactivated_on,
        reactivated_on,
        ROW_NUMBER() OVER (
            PARTITION BY npi
            ORDER BY updated_at DESC, source_system, npi_key
        ) AS place
    FROM silver.npi
    WHERE NOT npi IS NULL
)

SELECT
    npi_key,
    npi,
    entity_type,
    npi_name,
    taxonomy_code,
    practice_state,
    enumerated_on,
    deactivated_on,
    reactivated_on,
    CASE
        WHEN enumerated_on > $as_of THEN FALSE
        WHEN reactivated_on >= deactivated_on AND reactivated_on <= $as_of THEN TRUE
        WHEN deactivated_on <= $as_of THEN FALSE
        WHEN NOT enumerated_on IS NULL THEN TRUE
    END AS is_active,
    source_system
FROM listed
WHERE place = 1

UNION ALL

SELECT
    CAST(-1 AS BIGINT),
    'Unknown',
    'Unknown',
    'Unknown',
    'Unknown',
    'Unknown',
    CAST(NULL AS DATE),
    CAST(NULL AS DATE),
    CAST(NULL AS DATE),
    CAST(NULL AS BOOLEAN),
    'Unknown'
