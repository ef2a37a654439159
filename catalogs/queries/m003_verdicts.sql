-- Which node a review is about, and with which seed it is to be drawn again.

ALTER TABLE reviews ADD COLUMN node VARCHAR;
ALTER TABLE reviews ADD COLUMN seed VARCHAR;  -- up to 2**63: wider than a double holds
