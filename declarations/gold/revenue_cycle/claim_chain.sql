WITH link AS (
    SELECT
        later.claim_key,
        earlier.claim_key AS up_key
    FROM silver.claim AS later
    INNER JOIN silver.claim AS earlier
        ON later.source_system = earlier.source_system
        AND later.original_claim_id = earlier.claim_id
    WHERE later.frequency_code IN ('7', '8')
),

member AS (
    SELECT claim_key FROM silver.claim WHERE frequency_code IN ('7', '8')
    UNION
    SELECT up_key FROM link
),

traced AS (
    SELECT
        claim.claim_key,
        claim.source_system,
        claim.claim_id,
        claim.claim_date,
        claim.created_at,
        CASE
            WHEN NOT unended.claim_key IS NULL THEN claim.claim_key
            ELSE COALESCE(link_8.up_key, link_7.up_key, link_6.up_key, link_5.up_key, link_4.up_key, link_3.up_key, link_2.up_key, link_1.up_key, claim.claim_key)
        END AS original_claim_key,
        CASE
            WHEN NOT unended.claim_key IS NULL THEN 0
            WHEN NOT link_8.claim_key IS NULL THEN 8
            WHEN NOT link_7.claim_key IS NULL THEN 7
            WHEN NOT link_6.claim_key IS NULL THEN 6
            WHEN NOT link_5.claim_key IS NULL THEN 5
            WHEN NOT link_4.claim_key IS NULL THEN 4
            WHEN NOT link_3.claim_key IS NULL THEN 3
            WHEN NOT link_2.claim_key IS NULL THEN 2
            WHEN NOT link_1.claim_key IS NULL THEN 1
            ELSE 0
        END AS steps,
        CASE claim.frequency_code
            WHEN '7' THEN 'replacement'
            WHEN '8' THEN 'void'
            ELSE 'original'
        END AS submission_type,
        CASE
            WHEN NOT COALESCE(claim.frequency_code, '1') IN ('7', '8') THEN NULL
            WHEN claim.original_claim_id IS NULL THEN 'names no original'
            WHEN link_1.claim_key IS NULL THEN 'original missing'
            WHEN NOT unended.claim_key IS NULL THEN 'circular'
        END AS flag
    FROM silver.claim AS claim
    INNER JOIN member
        ON claim.claim_key = member.claim_key
    LEFT JOIN link AS link_1
        ON claim.claim_key = link_1.claim_key
    LEFT JOIN link AS link_2
        ON link_1.up_key = link_2.claim_key
    LEFT JOIN link AS link_3
        ON link_2.up_key = link_3.claim_key
    LEFT JOIN link AS link_4
        ON link_3.up_key = link_4.claim_key
    LEFT JOIN link AS link_5
        ON link_4.up_key = link_5.claim_key
    LEFT JOIN link AS link_6
        ON link_5.up_key = link_6.claim_key
    LEFT JOIN link AS link_7
        ON link_6.up_key = link_7.claim_key
    LEFT JOIN link AS link_8
        ON link_7.up_key = link_8.claim_key
    LEFT JOIN link AS unended
        ON link_8.up_key = unended.claim_key
),

counted AS (
    SELECT
        claim_key,
        source_system,
        original_claim_key,
        ROW_NUMBER() OVER (
            PARTITION BY original_claim_key
            ORDER BY steps, claim_date, created_at, claim_key
        ) AS submission,
        COUNT(*) OVER (PARTITION BY original_claim_key) AS submissions,
        submission_type,
        MIN(flag) OVER (PARTITION BY original_claim_key) AS flag
    FROM traced
)

SELECT
    counted.claim_key,
    counted.source_system,
    counted.original_claim_key,
    original.claim_id AS original_claim_id,
    original.claim_date AS first_claim_date,
    CAST(CAST(counted.submission AS DECIMAL(18, 0)) AS BIGINT) AS submission,
    CAST(CAST(counted.submissions AS DECIMAL(18, 0)) AS BIGINT) AS submissions,
    counted.submission = counted.submissions AS decides,
    counted.submission_type,
    counted.flag
FROM counted
INNER JOIN traced AS original
    ON counted.original_claim_key = original.claim_key
