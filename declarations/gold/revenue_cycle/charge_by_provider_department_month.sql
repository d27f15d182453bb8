WITH daily AS (
    SELECT
        provider_key,
        department_key,
        service_date,
        SUM(charge_as_of) AS charge_amount,
        SUM(payment_as_of) AS paid_amount,
        SUM(CASE WHEN service_date > $as_of THEN 0 ELSE 1 END) AS transactions
    FROM gold.fact_transaction
    WHERE COALESCE(service_date, $as_of) <= $as_of OR payment_as_of <> 0
    GROUP BY provider_key, department_key, service_date
),

dated AS (
    SELECT
        provider_key,
        department_key,
        COALESCE(LEFT(CAST(service_date AS TEXT), 7), 'Unknown') AS month,
        charge_amount,
        paid_amount,
        transactions
    FROM daily
),

monthly AS (
    SELECT
        provider_key,
        department_key,
        month,
        SUM(charge_amount) AS charge_amount,
        SUM(paid_amount) AS paid_amount,
        SUM(transactions) AS transactions
    FROM dated
    GROUP BY provider_key, department_key, month
)

SELECT
    provider.provider_name,
    department.department_name,
    monthly.month,
    CAST(monthly.charge_amount AS DECIMAL(18, 2)) AS charge_amount,
    CAST(monthly.paid_amount AS DECIMAL(18, 2)) AS paid_amount,
    CAST(CAST(monthly.transactions AS DECIMAL(18, 0)) AS BIGINT) AS transactions
FROM monthly
LEFT JOIN gold.dim_provider AS provider
    ON monthly.provider_key = provider.provider_key
LEFT JOIN gold.dim_department AS department
    ON monthly.department_key = department.department_key
