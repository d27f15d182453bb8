WITH listed AS (
    SELECT
        icd_code_key,
        source_system,
        icd_code,
        description,
        is_billable,
        release_year,
        ROW_NUMBER() OVER (
            PARTITION BY icd_code
            ORDER BY release_year DESC, source_system, icd_code_key
        ) AS place
    FROM silver.icd_code
    WHERE NOT icd_code IS NULL
)

SELECT
    icd_code_key AS icd_key,
    icd_code,
    description,
    is_billable,
    release_year,
    source_system
FROM listed
WHERE place = 1

UNION ALL

SELECT
    CAST(-1 AS BIGINT),
    'Unknown',
    'Unknown',
    CAST(NULL AS BOOLEAN),
    'Unknown',
    'Unknown'
