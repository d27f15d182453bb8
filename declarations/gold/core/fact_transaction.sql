WITH posted AS (
    SELECT
        transaction_key,
        source_system,
        transaction_id,
        encounter_key,
        patient_key,
        provider_key,
        department_key,
        payer_key,
        visit_date,
        service_date,
        paid_date,
        visit_type,
        amount_type,
        line_of_business,
        procedure_code,
        icd_code,
        amount,
        paid_amount,
        contractual_adjustment,
        CASE WHEN service_date > $as_of THEN 0 ELSE COALESCE(amount, 0) END AS charge_as_of,
        CASE WHEN paid_date > $as_of THEN 0 ELSE COALESCE(paid_amount, 0) END AS payment_as_of,
        CASE WHEN service_date > $as_of THEN 0 ELSE COALESCE(contractual_adjustment, 0) END AS adjustment_as_of
    FROM silver.transaction
)

SELECT
    posted.transaction_key,
    posted.source_system,
    posted.transaction_id,
    COALESCE(encounter.encounter_key, -1) AS encounter_key,
    COALESCE(patient.patient_key, -1) AS patient_key,
    COALESCE(provider.provider_key, -1) AS provider_key,
    COALESCE(department.department_key, -1) AS department_key,
    COALESCE(posted.payer_key, -1) AS payer_key,
    COALESCE(cpt.cpt_key, -1) AS cpt_key,
    COALESCE(icd.icd_key, -1) AS icd_key,
    CAST(
        CASE
            WHEN posted.service_date BETWEEN '1900-01-01' AND '2100-12-31'
                THEN YEAR(posted.service_date) * 10000 + MONTH(posted.service_date) * 100 + DAY(posted.service_date)
            ELSE -1
        END AS BIGINT
    ) AS service_date_key,
    CAST(
        CASE
            WHEN posted.paid_date BETWEEN '1900-01-01' AND '2100-12-31'
                THEN YEAR(posted.paid_date) * 10000 + MONTH(posted.paid_date) * 100 + DAY(posted.paid_date)
            ELSE -1
        END AS BIGINT
    ) AS paid_date_key,
    posted.visit_date,
    posted.service_date,
    posted.paid_date,
    posted.visit_type,
    posted.amount_type,
    posted.line_of_business,
    posted.procedure_code,
    posted.icd_code,
    posted.amount,
    posted.paid_amount,
    posted.contractual_adjustment,
    CAST(posted.charge_as_of AS DECIMAL(18, 2)) AS charge_as_of,
    CAST(posted.payment_as_of AS DECIMAL(18, 2)) AS payment_as_of,
    CAST(posted.adjustment_as_of AS DECIMAL(18, 2)) AS adjustment_as_of,
    CAST(
        CAST(posted.charge_as_of AS DECIMAL(18, 2))
        - CAST(posted.payment_as_of AS DECIMAL(18, 2))
        - CAST(posted.adjustment_as_of AS DECIMAL(18, 2)) AS DECIMAL(18, 2)
    ) AS balance
FROM posted
LEFT JOIN silver.encounter AS encounter
    ON posted.encounter_key = encounter.encounter_key
LEFT JOIN gold.dim_patient AS patient
    ON posted.patient_key = patient.patient_key
LEFT JOIN gold.dim_provider AS provider
    ON posted.provider_key = provider.provider_key
LEFT JOIN gold.dim_department AS department
    ON posted.department_key = department.department_key
LEFT JOIN gold.dim_cpt AS cpt
    ON posted.procedure_code = cpt.cpt_code
LEFT JOIN gold.dim_icd AS icd
    ON posted.icd_code = icd.icd_code
