WITH meaning AS (
    SELECT
        claim_status,
        MIN(counts_as) AS counts_as
    FROM reference.claim_status
    GROUP BY claim_status
)

SELECT
    claim.claim_key,
    claim.source_system,
    claim.claim_id,
    COALESCE(charge.transaction_key, -1) AS transaction_key,
    COALESCE(encounter.encounter_key, -1) AS encounter_key,
    COALESCE(patient.patient_key, -1) AS patient_key,
    COALESCE(provider.provider_key, -1) AS provider_key,
    COALESCE(department.department_key, -1) AS department_key,
    COALESCE(claim.payer_key, -1) AS payer_key,
    CAST(
        CASE
            WHEN claim.service_date BETWEEN '1900-01-01' AND '2100-12-31'
                THEN YEAR(claim.service_date) * 10000 + MONTH(claim.service_date) * 100 + DAY(claim.service_date)
            ELSE -1
        END AS BIGINT
    ) AS service_date_key,
    CAST(
        CASE
            WHEN claim.claim_date BETWEEN '1900-01-01' AND '2100-12-31'
                THEN YEAR(claim.claim_date) * 10000 + MONTH(claim.claim_date) * 100 + DAY(claim.claim_date)
            ELSE -1
        END AS BIGINT
    ) AS claim_date_key,
    claim.service_date,
    claim.claim_date,
    claim.claim_status,
    COALESCE(meaning.counts_as, 'unmapped') AS counts_as,
    claim.payer_type,
    charge.amount AS charge_amount,
    claim.claim_amount,
    claim.paid_amount,
    claim.deductible,
    claim.coinsurance,
    claim.copay
FROM silver.claim AS claim
LEFT JOIN silver.transaction AS charge
    ON claim.transaction_key = charge.transaction_key
LEFT JOIN silver.encounter AS encounter
    ON claim.encounter_key = encounter.encounter_key
LEFT JOIN gold.dim_patient AS patient
    ON claim.patient_key = patient.patient_key
LEFT JOIN gold.dim_provider AS provider
    ON claim.provider_key = provider.provider_key
LEFT JOIN gold.dim_department AS department
    ON claim.department_key = department.department_key
LEFT JOIN meaning
    ON TRIM(claim.claim_status) = meaning.claim_status
