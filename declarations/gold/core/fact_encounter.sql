SELECT
    encounter.encounter_key,
    encounter.source_system,
    encounter.encounter_id,
    COALESCE(patient.patient_key, -1) AS patient_key,
    COALESCE(provider.provider_key, -1) AS provider_key,
    COALESCE(department.department_key, -1) AS department_key,
    COALESCE(cpt.cpt_key, -1) AS cpt_key,
    CAST(
        CASE
            WHEN encounter.encounter_date BETWEEN '1900-01-01' AND '2100-12-31' THEN
                YEAR(encounter.encounter_date) * 10000
                + MONTH(encounter.encounter_date) * 100
                + DAY(encounter.encounter_date)
            ELSE -1
        END AS BIGINT
    ) AS encounter_date_key,
    encounter.encounter_date,
    encounter.encounter_type,
    encounter.procedure_code
FROM silver.encounter AS encounter
LEFT JOIN gold.dim_patient AS patient
    ON encounter.patient_key = patient.patient_key
LEFT JOIN gold.dim_provider AS provider
    ON encounter.provider_key = provider.provider_key
LEFT JOIN gold.dim_department AS department
    ON encounter.department_key = department.department_key
LEFT JOIN gold.dim_cpt AS cpt
    ON encounter.procedure_code = cpt.cpt_code
