-- Where the numbers of runs and reports come from.
CREATE TABLE counter (
  name {text} NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counter (name, value) VALUES ('run', 0), ('report', 0);

-- What users said: registries (references to credentials, never secrets) and jobs.
CREATE TABLE registry (
  name {text} NOT NULL PRIMARY KEY,
  definition {text} NOT NULL,
  paused BIGINT NOT NULL,
  added BIGINT NOT NULL
);
CREATE TABLE job (
  name {text} NOT NULL PRIMARY KEY,
  registry {text} NOT NULL REFERENCES registry (name),
  definition {text} NOT NULL,
  added BIGINT NOT NULL,
  served BIGINT                        -- the occurrence that the latest scheduled run answered
);

-- A run of a job, and the images that it is to look at. Whoever holds a lease may commit; each lease has a number of its own.
CREATE TABLE run (
  id BIGINT NOT NULL PRIMARY KEY,
  job {text} NOT NULL,
  registry {text} NOT NULL,
  definition {text} NOT NULL,            -- the job as it was when the run began
  forced BIGINT NOT NULL,
  pull BIGINT NOT NULL,
  state {text} NOT NULL,
  planned BIGINT NOT NULL,
  queued BIGINT NOT NULL,
  began BIGINT,
  ended BIGINT,
  listed BIGINT NOT NULL,
  selected BIGINT NOT NULL,
  skipped {text} NOT NULL,
  error {text},
  holder {text},
  token BIGINT NOT NULL,
  until BIGINT
);
CREATE UNIQUE INDEX run_live ON run (job) WHERE state IN ('Queued', 'Running');
CREATE INDEX run_job ON run (job, id);
CREATE TABLE item (
  run BIGINT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  repository {text} NOT NULL,
  digest {text} NOT NULL,
  image {text} NOT NULL,
  verdict {text} NOT NULL,
  reason {text} NOT NULL,
  state {text} NOT NULL,                 -- waiting, leased, scanned, rematched, not-an-image, platform, failed, canceled
  holder {text},
  token BIGINT NOT NULL,
  tries BIGINT NOT NULL,
  until BIGINT,
  since BIGINT,
  error {text},
  stats {text},
  PRIMARY KEY (run, repository, digest)
);
CREATE INDEX item_open ON item (state, run) WHERE state IN ('waiting', 'leased');

-- What a job has looked at already.
CREATE TABLE baseline (
  job {text} NOT NULL,
  repository {text} NOT NULL,
  digest {text} NOT NULL,
  outcome {text} NOT NULL,               -- scanned, failed, not-an-image, platform
  error {text},
  PRIMARY KEY (job, repository, digest)
);

-- What registries list, and what is known of it.
CREATE TABLE image (
  registry {text} NOT NULL,
  repository {text} NOT NULL,
  digest {text} NOT NULL,
  tags {text} NOT NULL,
  listed {text} NOT NULL,                -- the rest of the listing: media type, size, date
  seen BIGINT NOT NULL,
  gone BIGINT,
  PRIMARY KEY (registry, repository, digest)
);
CREATE TABLE report (
  id BIGINT NOT NULL PRIMARY KEY,
  registry {text} NOT NULL,
  repository {text} NOT NULL,
  digest {text} NOT NULL,
  platform {text} NOT NULL,
  scanned BIGINT NOT NULL,
  matched BIGINT NOT NULL,
  complete BIGINT NOT NULL,
  catalogers {text} NOT NULL,
  worst BIGINT NOT NULL,               -- the worst rating, by its rank
  counts {text} NOT NULL,                -- findings by rating
  matching {bytes} NOT NULL,           -- what the match says besides its findings: problems, the advisories, a count
  UNIQUE (registry, repository, digest, platform)
);
CREATE TABLE content (
  report BIGINT NOT NULL PRIMARY KEY REFERENCES report (id) ON DELETE CASCADE,
  scan {bytes} NOT NULL,               -- the report without what the match says
  findings {bytes} NOT NULL
);
-- Every id of every finding, aliases and what they bundle among them.
CREATE TABLE finding (
  id {text} NOT NULL,
  report BIGINT NOT NULL REFERENCES report (id) ON DELETE CASCADE,
  PRIMARY KEY (id, report)
);
CREATE INDEX finding_report ON finding (report);
-- What a scan or a match changed of an image's findings.
CREATE TABLE change (
  time BIGINT NOT NULL,
  run BIGINT,
  registry {text} NOT NULL,
  repository {text} NOT NULL,
  digest {text} NOT NULL,
  platform {text} NOT NULL,
  added_count BIGINT NOT NULL,
  fixed_count BIGINT NOT NULL,
  findings {bytes} NOT NULL
);
CREATE INDEX change_time ON change (time);

-- What was read of layers, and which reports rest on it.
CREATE TABLE layer (
  key {text} NOT NULL PRIMARY KEY,
  digest {text} NOT NULL,
  stored BIGINT NOT NULL,
  facts {bytes} NOT NULL
);
CREATE INDEX layer_digest ON layer (digest);
CREATE TABLE report_layer (
  report BIGINT NOT NULL REFERENCES report (id) ON DELETE CASCADE,
  digest {text} NOT NULL,
  PRIMARY KEY (report, digest)
);
CREATE INDEX report_layer_digest ON report_layer (digest);

-- Who is at work.
CREATE TABLE worker (
  id {text} NOT NULL PRIMARY KEY,
  host {text} NOT NULL,
  process BIGINT NOT NULL,
  began BIGINT NOT NULL,
  seen BIGINT NOT NULL
);
