-- $asset: a SHA-256. What people said of it, the latest first.
SELECT verdict, reviewer, strftime(reviewed, '%Y-%m-%dT%H:%M:%SZ') AS reviewed, note
FROM reviews
WHERE asset = $asset
ORDER BY reviewed DESC
LIMIT 50;
