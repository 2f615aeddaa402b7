-- The repository that a plan counted last: what is sent again, since the answer was lost, counts once.
ALTER TABLE run ADD COLUMN counted {text};
