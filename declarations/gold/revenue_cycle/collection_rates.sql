WITH account AS (
    SELECT
        source_system,
        charge_as_of AS charge,
        payment_as_of AS payment,
        adjustment_as_of AS adjustment,
        CASE WHEN contractual_adjustment IS NULL THEN 0 ELSE 1 END AS is_adjusted,
        CASE WHEN payment_as_of = 0 OR NOT paid_date IS NULL THEN DATE_DIFF('day', service_date, $as_of) END AS age,
        DATE_DIFF('day', service_date, paid_date) AS days_to_pay
    FROM gold.fact_transaction
),

hospital AS (
    SELECT
        source_system,
        SUM(charge) AS charges,
        SUM(payment) AS payments,
        SUM(charge) - SUM(adjustment) AS net_charges,
        MAX(is_adjusted) AS is_adjusted,
        SUM(CASE WHEN age >= 30 THEN charge ELSE 0 END) AS charges_30,
        SUM(CASE WHEN age >= 30 AND days_to_pay <= 30 THEN payment ELSE 0 END) AS payments_30,
        SUM(CASE WHEN age >= 60 THEN charge ELSE 0 END) AS charges_60,
        SUM(CASE WHEN age >= 60 AND days_to_pay <= 60 THEN payment ELSE 0 END) AS payments_60,
        SUM(CASE WHEN age >= 90 THEN charge ELSE 0 END) AS charges_90,
        SUM(CASE WHEN age >= 90 AND days_to_pay <= 90 THEN payment ELSE 0 END) AS payments_90
    FROM account
    GROUP BY source_system
),

scope AS (
    SELECT
        source_system,
        charges,
        payments,
        net_charges,
        is_adjusted,
        charges_30,
        payments_30,
        charges_60,
        payments_60,
        charges_90,
        payments_90
    FROM hospital

    UNION ALL

    SELECT
        'all',
        SUM(charges),
        SUM(payments),
        SUM(net_charges),
        MIN(is_adjusted),
        SUM(charges_30),
        SUM(payments_30),
        SUM(charges_60),
        SUM(payments_60),
        SUM(charges_90),
        SUM(payments_90)
    FROM hospital
    HAVING COUNT(*) > 0
),

measured AS (
    SELECT
        source_system,
        'gross' AS measure,
        payments AS collected,
        charges AS collectable,
        'Payments by charges' AS definition
    FROM scope

    UNION ALL

    SELECT
        source_system,
        'net',
        payments,
        CASE WHEN is_adjusted = 1 THEN net_charges END,
        'Payments by charges less contractual adjustments; unknown where a source states no adjustments'
    FROM scope

    UNION ALL

    SELECT
        source_system,
        'within 30 days',
        payments_30,
        charges_30,
        'Paid up to 30 days after service, by charges at least 30 days old'
    FROM scope

    UNION ALL

    SELECT
        source_system,
        'within 60 days',
        payments_60,
        charges_60,
        'Paid up to 60 days after service, by charges at least 60 days old'
    FROM scope

    UNION ALL

    SELECT
        source_system,
        'within 90 days',
        payments_90,
        charges_90,
        'Paid up to 90 days after service, by charges at least 90 days old'
    FROM scope
)

SELECT
    source_system,
    measure,
    CAST(
        CAST(
            FLOOR(CAST(collected * 1000000 AS DOUBLE) / CAST(NULLIF(collectable, 0) * 100 AS DOUBLE) + 0.5)
            AS DECIMAL(18, 0)
        ) * 0.0001 AS DECIMAL(18, 4)
    ) AS collection_rate,
    CAST(collected AS DECIMAL(18, 2)) AS numerator,
    CAST(collectable AS DECIMAL(18, 2)) AS denominator,
    CAST($as_of AS DATE) AS as_of,
    definition
FROM measured
