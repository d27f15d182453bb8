WITH known AS (
    SELECT
        claim_key,
        MIN(valid_from) AS first_known
    FROM silver.claim_history
    WHERE NOT is_deleted
    GROUP BY claim_key
),

submitted AS (
    SELECT
        chain.claim_key,
        chain.source_system,
        chain.original_claim_key,
        chain.submission,
        chain.submission_type,
        MIN(known.first_known) OVER (
            PARTITION BY chain.original_claim_key
            ORDER BY chain.submission DESC
        ) AS known_from_here
    FROM gold.claim_chain AS chain
    LEFT JOIN known
        ON chain.claim_key = known.claim_key
    WHERE chain.submissions > 1 OR chain.submission_type = 'void'
),

chained AS (
    SELECT
        claim_key,
        source_system,
        original_claim_key,
        submission_type,
        LAG(known_from_here) OVER (
            PARTITION BY original_claim_key
            ORDER BY submission DESC
        ) AS replaced_at
    FROM submitted
),

moving AS (
    SELECT claim_key FROM chained
    UNION
    SELECT claim_key FROM silver.claim_history WHERE NOT valid_to IS NULL
),

state AS (
    SELECT
        history.claim_key,
        history.source_system,
        COALESCE(chained.original_claim_key, history.claim_key) AS original_claim_key,
        history.valid_from AS since,
        CASE
            WHEN history.is_deleted OR COALESCE(chained.submission_type, 'original') = 'void' THEN 0
            ELSE COALESCE(history.paid_amount, 0)
        END AS paid
    FROM silver.claim_history AS history
    INNER JOIN moving
        ON history.claim_key = moving.claim_key
    LEFT JOIN chained
        ON history.claim_key = chained.claim_key
    WHERE
        COALESCE(history.valid_from < history.valid_to, TRUE)
        AND COALESCE(history.valid_from < chained.replaced_at, TRUE)

    UNION ALL

    SELECT
        claim_key,
        source_system,
        original_claim_key,
        replaced_at,
        0
    FROM chained
    WHERE NOT replaced_at IS NULL
),

moved AS (
    SELECT
        original_claim_key,
        source_system,
        LEFT(CAST(CAST(since AS DATE) AS TEXT), 7) AS month,
        CAST(paid AS DECIMAL(18, 2))
        - CAST(COALESCE(LAG(paid) OVER (PARTITION BY claim_key ORDER BY since), 0) AS DECIMAL(18, 2)) AS amount
    FROM state
),

settled AS (
    SELECT
        history.claim_key,
        history.source_system,
        LEFT(CAST(CAST(history.valid_from AS DATE) AS TEXT), 7) AS month,
        CAST(history.paid_amount AS DECIMAL(18, 2)) AS amount
    FROM silver.claim_history AS history
    LEFT JOIN moving
        ON history.claim_key = moving.claim_key
    WHERE moving.claim_key IS NULL AND NOT history.is_deleted
)

SELECT
    original_claim_key,
    source_system,
    month,
    CAST(SUM(CASE WHEN amount > 0 THEN amount ELSE 0 END) AS DECIMAL(18, 2)) AS payments,
    CAST(SUM(CASE WHEN amount < 0 THEN amount ELSE 0 END) AS DECIMAL(18, 2)) AS reversals,
    CAST(SUM(amount) AS DECIMAL(18, 2)) AS cash_amount
FROM moved
WHERE amount <> 0
GROUP BY original_claim_key, source_system, month

UNION ALL

-- Of most claims one state is known: there is nothing to compare it with.
SELECT
    claim_key,
    source_system,
    month,
    CAST(CASE WHEN amount > 0 THEN amount ELSE 0 END AS DECIMAL(18, 2)),
    CAST(CASE WHEN amount < 0 THEN amount ELSE 0 END AS DECIMAL(18, 2)),
    amount
FROM settled
WHERE amount <> 0
