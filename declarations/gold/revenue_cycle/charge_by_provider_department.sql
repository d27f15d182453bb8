WITH charged AS (
    SELECT
        provider_key,
        department_key,
        SUM(charge_as_of) AS charge_amount,
        SUM(payment_as_of) AS paid_amount,
        SUM(CASE WHEN service_date > $as_of THEN 0 ELSE 1 END) AS transactions
    FROM gold.fact_transaction
    WHERE COALESCE(service_date, $as_of) <= $as_of OR payment_as_of <> 0
    GROUP BY provider_key, department_key
)

SELECT
    provider.provider_name,
    department.department_name,
    CAST(charged.charge_amount AS DECIMAL(18, 2)) AS charge_amount,
    CAST(charged.paid_amount AS DECIMAL(18, 2)) AS paid_amount,
    CAST(CAST(charged.transactions AS DECIMAL(18, 0)) AS BIGINT) AS transactions
FROM charged
LEFT JOIN gold.dim_provider AS provider
    ON charged.provider_key = provider.provider_key
LEFT JOIN gold.dim_department AS department
    ON charged.department_key = department.department_key
