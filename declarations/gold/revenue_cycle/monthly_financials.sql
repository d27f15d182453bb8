WITH served AS (
    SELECT
        source_system,
        service_date,
        SUM(charge_as_of) AS charges,
        SUM(adjustment_as_of) AS adjustments,
        COUNT(*) AS transactions
    FROM gold.fact_transaction
    WHERE COALESCE(service_date, $as_of) <= $as_of
    GROUP BY source_system, service_date
),

received AS (
    SELECT
        source_system,
        paid_date,
        SUM(payment_as_of) AS payments
    FROM gold.fact_transaction
    WHERE payment_as_of <> 0
    GROUP BY source_system, paid_date
),

posting AS (
    SELECT
        source_system,
        COALESCE(LEFT(CAST(service_date AS TEXT), 7), 'Unknown') AS month,
        charges,
        CAST(0 AS DECIMAL(18, 2)) AS payments,
        adjustments,
        transactions
    FROM served

    UNION ALL

    SELECT
        source_system,
        COALESCE(LEFT(CAST(paid_date AS TEXT), 7), 'Unknown'),
        CAST(0 AS DECIMAL(18, 2)),
        payments,
        CAST(0 AS DECIMAL(18, 2)),
        0
    FROM received
),

monthly AS (
    SELECT
        source_system,
        month,
        SUM(charges) AS charges,
        SUM(payments) AS payments,
        SUM(adjustments) AS adjustments,
        SUM(charges) - SUM(payments) - SUM(adjustments) AS change,
        SUM(transactions) AS transactions
    FROM posting
    GROUP BY source_system, month
),

rolled AS (
    SELECT
        source_system,
        month,
        charges,
        payments,
        adjustments,
        change,
        transactions,
        SUM(change) OVER (
            PARTITION BY source_system
            ORDER BY CASE WHEN month = 'Unknown' THEN '' ELSE month END
        ) AS ar_end
    FROM monthly
)

SELECT
    source_system,
    month,
    CAST(CAST(ar_end AS DECIMAL(38, 2)) - CAST(change AS DECIMAL(38, 2)) AS DECIMAL(18, 2)) AS ar_start,
    CAST(charges AS DECIMAL(18, 2)) AS charge_amount,
    CAST(payments AS DECIMAL(18, 2)) AS paid_amount,
    CAST(adjustments AS DECIMAL(18, 2)) AS adjustment_amount,
    CAST(ar_end AS DECIMAL(18, 2)) AS ar_end,
    CAST(CAST(transactions AS DECIMAL(18, 0)) AS BIGINT) AS transactions,
    CAST($as_of AS DATE) AS as_of,
    'Owed at the end of the month: owed at its start, and charged, less paid and adjusted in it' AS definition
FROM rolled
