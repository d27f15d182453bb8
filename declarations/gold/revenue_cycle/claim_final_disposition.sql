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
    COALESCE(chain.original_claim_key, claim.claim_key) AS original_claim_key,
    CASE WHEN chain.claim_key IS NULL THEN claim.claim_id ELSE chain.original_claim_id END AS original_claim_id,
    COALESCE(chain.submissions, 1) AS submissions,
    CASE WHEN chain.submission_type = 'void' THEN 'voided' ELSE COALESCE(meaning.counts_as, 'unmapped') END AS disposition,
    claim.claim_status,
    CAST(
        CASE WHEN chain.submission_type = 'void' THEN 0 ELSE COALESCE(claim.claim_amount, 0) END AS DECIMAL(18, 2)
    ) AS billed_amount,
    CAST(
        CASE WHEN chain.submission_type = 'void' THEN 0 ELSE COALESCE(claim.paid_amount, 0) END AS DECIMAL(18, 2)
    ) AS paid_amount,
    CASE WHEN chain.claim_key IS NULL THEN claim.claim_date ELSE chain.first_claim_date END AS first_claim_date,
    claim.claim_date AS final_claim_date,
    chain.flag
FROM silver.claim AS claim
LEFT JOIN gold.claim_chain AS chain
    ON claim.claim_key = chain.claim_key
LEFT JOIN meaning
    ON TRIM(claim.claim_status) = meaning.claim_status
WHERE COALESCE(chain.decides, TRUE)
