SELECT
    chain.original_claim_key,
    chain.source_system,
    original.claim_id AS original_claim_id,
    final.claim_key AS final_claim_key,
    final.claim_id AS final_claim_id,
    chain.submissions,
    CASE WHEN chain.submission_type = 'void' THEN 'voided' ELSE final.counts_as END AS disposition,
    final.claim_status,
    CAST(
        CASE WHEN chain.submission_type = 'void' THEN 0 ELSE COALESCE(final.claim_amount, 0) END AS DECIMAL(18, 2)
    ) AS billed_amount,
    CAST(
        CASE WHEN chain.submission_type = 'void' THEN 0 ELSE COALESCE(final.paid_amount, 0) END AS DECIMAL(18, 2)
    ) AS paid_amount,
    original.claim_date AS first_claim_date,
    final.claim_date AS final_claim_date,
    chain.flag
FROM gold.claim_chain AS chain
INNER JOIN silver.claim AS original
    ON chain.original_claim_key = original.claim_key
INNER JOIN gold.fact_claim AS final
    ON chain.claim_key = final.claim_key
WHERE chain.decides
