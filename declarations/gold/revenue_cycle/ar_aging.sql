WITH setting AS (
    SELECT COALESCE(MIN(value), 'service_date') AS aging_from
    FROM reference.setting
    WHERE name = 'ar_aging_from'
),

bucket AS (
    SELECT 1 AS bucket_order, '0-30' AS bucket
    UNION ALL SELECT 2, '31-60'
    UNION ALL SELECT 3, '61-90'
    UNION ALL SELECT 4, '91-120'
    UNION ALL SELECT 5, 'over 120'
    UNION ALL SELECT 6, 'credit'
    UNION ALL SELECT 7, 'unknown date'
),

hospital AS (
    SELECT DISTINCT source_system
    FROM gold.fact_transaction
),

account AS (
    SELECT
        fact.source_system,
        fact.balance,
        DATE_DIFF(
            'day',
            CASE setting.aging_from
                WHEN 'service_date' THEN fact.service_date
                WHEN 'visit_date' THEN fact.visit_date
            END,
            $as_of
        ) AS age
    FROM gold.fact_transaction AS fact
    CROSS JOIN setting
    WHERE fact.balance <> 0
),

placed AS (
    SELECT
        source_system,
        balance,
        CASE
            WHEN balance < 0 THEN 'credit'
            WHEN age IS NULL THEN 'unknown date'
            WHEN age < 31 THEN '0-30'
            WHEN age < 61 THEN '31-60'
            WHEN age < 91 THEN '61-90'
            WHEN age < 121 THEN '91-120'
            ELSE 'over 120'
        END AS bucket
    FROM account
),

owed AS (
    SELECT
        source_system,
        bucket,
        SUM(balance) AS amount,
        COUNT(*) AS transactions
    FROM placed
    GROUP BY source_system, bucket
),

aged AS (
    SELECT
        hospital.source_system,
        bucket.bucket_order,
        bucket.bucket,
        COALESCE(owed.amount, 0) AS amount,
        COALESCE(owed.transactions, 0) AS transactions,
        SUM(COALESCE(owed.amount, 0)) OVER (PARTITION BY hospital.source_system) AS total
    FROM hospital
    CROSS JOIN bucket
    LEFT JOIN owed
        ON hospital.source_system = owed.source_system
        AND bucket.bucket = owed.bucket
)

SELECT
    aged.source_system,
    CAST(CAST(aged.bucket_order AS DECIMAL(18, 0)) AS BIGINT) AS bucket_order,
    aged.bucket,
    CAST(aged.amount AS DECIMAL(18, 2)) AS ar_amount,
    aged.transactions,
    CAST(
        CAST(
            FLOOR(CAST(aged.amount * 1000000 AS DOUBLE) / CAST(NULLIF(aged.total, 0) * 100 AS DOUBLE) + 0.5)
            AS DECIMAL(18, 0)
        ) * 0.0001 AS DECIMAL(18, 4)
    ) AS share_of_ar,
    CAST(aged.amount AS DECIMAL(18, 2)) AS numerator,
    CAST(aged.total AS DECIMAL(18, 2)) AS denominator,
    CAST($as_of AS DATE) AS as_of,
    'What is owed in the bucket, and its share of all accounts receivable less credits; aged from '
    || REPLACE(setting.aging_from, '_', ' ') AS definition
FROM aged
CROSS JOIN setting
