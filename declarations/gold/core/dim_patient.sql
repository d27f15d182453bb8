SELECT
    patient_key,
    source_system,
    patient_id,
    full_name,
    gender,
    address AS state
FROM silver.patient

UNION ALL

SELECT
    CAST(-1 AS BIGINT),
    'Unknown',
    'Unknown',
    'Unknown',
    'Unknown',
    'Unknown'
