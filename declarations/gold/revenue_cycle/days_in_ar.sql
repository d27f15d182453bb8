WITH setting AS (
    SELECT TRY_CAST(COALESCE(MIN(value), '90') AS DECIMAL(18, 0)) AS window_days
    FROM reference.setting
    WHERE name = 'days_in_ar_window'
),

hospital AS (
    SELECT
        fact.source_system,
        MIN(setting.window_days) AS window_days,
        SUM(fact.balance) AS ar,
        SUM(
            CASE
                WHEN DATE_DIFF('day', fact.service_date, $as_of) < setting.window_days THEN fact.charge_as_of
                ELSE 0
            END
        ) AS charges
    FROM gold.fact_transaction AS fact
    CROSS JOIN setting
    GROUP BY fact.source_system
),

scope AS (
    SELECT
        source_system,
        window_days,
        ar,
        charges
    FROM hospital

    UNION ALL

    SELECT
        'all',
        MIN(window_days),
        SUM(ar),
        SUM(charges)
    FROM hospital
    HAVING COUNT(*) > 0
)

SELECT
    source_system,
    CAST(
        CAST(
            FLOOR(
                CAST(ar * window_days * 10000 AS DOUBLE)
                / CAST(CASE WHEN window_days > 0 THEN NULLIF(charges, 0) END * 100 AS DOUBLE) + 0.5
            ) AS DECIMAL(18, 0)
        ) * 0.01 AS DECIMAL(18, 2)
    ) AS days_in_ar,
    CAST(ar AS DECIMAL(18, 2)) AS numerator,
    CAST(
        CAST(
            FLOOR(
                CAST(charges * 10000 AS DOUBLE)
                / CAST(CASE WHEN window_days > 0 THEN window_days END * 100 AS DOUBLE) + 0.5
            ) AS DECIMAL(18, 0)
        ) * 0.01 AS DECIMAL(18, 2)
    ) AS denominator,
    CAST(charges AS DECIMAL(18, 2)) AS charges_in_window,
    CAST(CAST(window_days AS DECIMAL(18, 0)) AS BIGINT) AS window_days,
    CAST($as_of AS DATE) AS as_of,
    'Gross: accounts receivable less credits, by the average daily charges of the last '
    || COALESCE(CAST(window_days AS TEXT), 'unknown number of') || ' days' AS definition
FROM scope
