WITH digit AS (
    SELECT 0 AS n
    UNION ALL SELECT 1
    UNION ALL SELECT 2
    UNION ALL SELECT 3
    UNION ALL SELECT 4
    UNION ALL SELECT 5
    UNION ALL SELECT 6
    UNION ALL SELECT 7
    UNION ALL SELECT 8
    UNION ALL SELECT 9
),

counted AS (
    SELECT
        ones.n + tens.n * 10 + hundreds.n * 100 + thousands.n * 1000 + myriads.n * 10000 AS days
    FROM digit AS ones
    CROSS JOIN digit AS tens
    CROSS JOIN digit AS hundreds
    CROSS JOIN digit AS thousands
    CROSS JOIN digit AS myriads
),

calendar AS (
    SELECT
        CAST('1900-01-01' AS DATE) + days AS calendar_date,
        days % 7 + 1 AS day_of_week
    FROM counted
    WHERE days <= 73413
)

SELECT
    CAST(YEAR(calendar_date) * 10000 + MONTH(calendar_date) * 100 + DAY(calendar_date) AS BIGINT) AS date_key,
    calendar_date,
    CAST(YEAR(calendar_date) AS BIGINT) AS year,
    CAST(
        CASE
            WHEN MONTH(calendar_date) <= 3 THEN 1
            WHEN MONTH(calendar_date) <= 6 THEN 2
            WHEN MONTH(calendar_date) <= 9 THEN 3
            ELSE 4
        END AS BIGINT
    ) AS quarter,
    LEFT(CAST(calendar_date AS TEXT), 7) AS month,
    CAST(MONTH(calendar_date) AS BIGINT) AS month_of_year,
    CASE MONTH(calendar_date)
        WHEN 1 THEN 'January'
        WHEN 2 THEN 'February'
        WHEN 3 THEN 'March'
        WHEN 4 THEN 'April'
        WHEN 5 THEN 'May'
        WHEN 6 THEN 'June'
        WHEN 7 THEN 'July'
        WHEN 8 THEN 'August'
        WHEN 9 THEN 'September'
        WHEN 10 THEN 'October'
        WHEN 11 THEN 'November'
        WHEN 12 THEN 'December'
    END AS month_name,
    CAST(DAY(calendar_date) AS BIGINT) AS day_of_month,
    CAST(CAST(day_of_week AS DECIMAL(18, 0)) AS BIGINT) AS day_of_week,
    CASE day_of_week
        WHEN 1 THEN 'Monday'
        WHEN 2 THEN 'Tuesday'
        WHEN 3 THEN 'Wednesday'
        WHEN 4 THEN 'Thursday'
        WHEN 5 THEN 'Friday'
        WHEN 6 THEN 'Saturday'
        WHEN 7 THEN 'Sunday'
    END AS day_name,
    day_of_week >= 6 AS is_weekend
FROM calendar

UNION ALL

SELECT
    CAST(-1 AS BIGINT),
    CAST(NULL AS DATE),
    CAST(NULL AS BIGINT),
    CAST(NULL AS BIGINT),
    'Unknown',
    CAST(NULL AS BIGINT),
    'Unknown',
    CAST(NULL AS BIGINT),
    CAST(NULL AS BIGINT),
    'Unknown',
    CAST(NULL AS BOOLEAN)
