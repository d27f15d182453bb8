WITH named AS (
    SELECT DISTINCT
        payer_key,
        source_system,
        payer_id
    FROM silver.transaction

    UNION ALL

    SELECT DISTINCT
        payer_key,
        source_system,
        payer_id
    FROM silver.claim

    UNION ALL

    SELECT
        payer_key,
        source_system,
        payer_id
    FROM silver.payer
),

payer AS (
    SELECT
        payer_key,
        MIN(source_system) AS source_system,
        MIN(payer_id) AS payer_id
    FROM named
    WHERE NOT payer_key IS NULL
    GROUP BY payer_key
)

SELECT
    payer.payer_key,
    payer.source_system,
    payer.payer_id,
    COALESCE(listed.payer_name, payer.payer_id) AS payer_name
FROM payer
LEFT JOIN silver.payer AS listed
    ON payer.payer_key = listed.payer_key

UNION ALL

SELECT
    CAST(-1 AS BIGINT),
    'Unknown',
    'Unknown',
    'Unknown'
