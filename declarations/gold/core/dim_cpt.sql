WITH listed AS (
    SELECT
        cpt_code_key,
        source_system,
        cpt_code,
        category,
        description,
        code_status,
        ROW_NUMBER() OVER (
            PARTITION BY cpt_code
            ORDER BY updated_at DESC, source_system, cpt_code_key
        ) AS place
    FROM silver.cpt_code
    WHERE NOT cpt_code IS NULL
)

SELECT
    cpt_code_key AS cpt_key,
    cpt_code,
    category,
    description,
    code_status,
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
    'Unknown'
