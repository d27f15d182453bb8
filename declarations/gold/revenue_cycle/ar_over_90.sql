WITH hospital AS (
    SELECT
        source_system,
        SUM(CASE WHEN bucket IN ('91-120', 'over 120') THEN ar_amount ELSE 0 END) AS old,
        SUM(CASE WHEN bucket = 'credit' THEN 0 ELSE ar_amount END) AS owed
    FROM gold.ar_aging
    GROUP BY source_system
),

scope AS (
    SELECT
        source_system,
        old,
        owed
    FROM hospital

    UNION ALL

    SELECT
        'all',
        SUM(old),
        SUM(owed)
    FROM hospital
    HAVING COUNT(*) > 0
)

SELECT
    source_system,
    CAST(
        CAST(
            FLOOR(CAST(old * 1000000 AS DOUBLE) / CAST(NULLIF(owed, 0) * 100 AS DOUBLE) + 0.5) AS DECIMAL(18, 0)
        ) * 0.0001 AS DECIMAL(18, 4)
    ) AS ar_over_90,
    CAST(old AS DECIMAL(18, 2)) AS numerator,
    CAST(owed AS DECIMAL(18, 2)) AS denominator,
    CAST($as_of AS DATE) AS as_of,
    'Owed for more than 90 days, by all that is owed; credits are in neither' AS definition
FROM scope
