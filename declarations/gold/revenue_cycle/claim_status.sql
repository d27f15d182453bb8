WITH payer AS (
    SELECT
        claim.source_system,
        claim.payer_key,
        COUNT(*) AS claims,
        SUM(CASE WHEN claim.counts_as = 'approved' THEN 1 ELSE 0 END) AS approved,
        SUM(CASE WHEN claim.counts_as = 'denied' THEN 1 ELSE 0 END) AS denied,
        SUM(CASE WHEN claim.counts_as = 'pending' THEN 1 ELSE 0 END) AS pending,
        SUM(CASE WHEN claim.counts_as IN ('approved', 'denied', 'pending') THEN 0 ELSE 1 END) AS unmapped,
        SUM(COALESCE(claim.claim_amount, 0)) AS claim_amount,
        SUM(COALESCE(claim.paid_amount, 0)) AS paid_amount,
        SUM(CASE WHEN claim.counts_as = 'denied' THEN COALESCE(claim.claim_amount, 0) ELSE 0 END) AS denied_amount
    FROM gold.fact_claim AS claim
    WHERE COALESCE(claim.claim_date, $as_of) <= $as_of
    GROUP BY claim.source_system, claim.payer_key
),

scope AS (
    SELECT
        payer.source_system,
        COALESCE(named.payer_name, 'Unknown') AS payer_name,
        payer.claims,
        payer.approved,
        payer.denied,
        payer.pending,
        payer.unmapped,
        payer.claim_amount,
        payer.paid_amount,
        payer.denied_amount
    FROM payer
    LEFT JOIN gold.dim_payer AS named
        ON payer.payer_key = named.payer_key

    UNION ALL

    SELECT
        'all',
        'all',
        SUM(claims),
        SUM(approved),
        SUM(denied),
        SUM(pending),
        SUM(unmapped),
        SUM(claim_amount),
        SUM(paid_amount),
        SUM(denied_amount)
    FROM payer
    HAVING COUNT(*) > 0
)

SELECT
    source_system,
    payer_name,
    CAST(CAST(claims AS DECIMAL(18, 0)) AS BIGINT) AS claims,
    CAST(CAST(approved AS DECIMAL(18, 0)) AS BIGINT) AS approved,
    CAST(CAST(denied AS DECIMAL(18, 0)) AS BIGINT) AS denied,
    CAST(CAST(pending AS DECIMAL(18, 0)) AS BIGINT) AS pending,
    CAST(CAST(unmapped AS DECIMAL(18, 0)) AS BIGINT) AS unmapped,
    CAST(claim_amount AS DECIMAL(18, 2)) AS claim_amount,
    CAST(paid_amount AS DECIMAL(18, 2)) AS paid_amount,
    CAST(denied_amount AS DECIMAL(18, 2)) AS denied_amount,
    CAST(
        CAST(
            FLOOR(CAST(denied * 1000000 AS DOUBLE) / CAST(NULLIF(approved + denied, 0) * 100 AS DOUBLE) + 0.5)
            AS DECIMAL(18, 0)
        ) * 0.0001 AS DECIMAL(18, 4)
    ) AS denial_rate,
    CAST(CAST(denied AS DECIMAL(18, 0)) AS BIGINT) AS numerator,
    CAST(CAST(approved + denied AS DECIMAL(18, 0)) AS BIGINT) AS denominator,
    CAST($as_of AS DATE) AS as_of,
    'Claims denied, by claims decided: approved or denied. Pending and unmapped ones are in neither' AS definition
FROM scope
