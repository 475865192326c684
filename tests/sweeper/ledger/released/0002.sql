BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0002');
CREATE TABLE attempts (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	sweep_id INTEGER NOT NULL, 
	token INTEGER NOT NULL, 
	pack VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	cause VARCHAR, 
	traceback TEXT, 
	from_epoch INTEGER NOT NULL, 
	host VARCHAR, 
	device VARCHAR, 
	git_commit VARCHAR, 
	git_dirty BOOLEAN, 
	versions TEXT, 
	started DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	ended DATETIME, 
	seconds DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id), 
	FOREIGN KEY(sweep_id) REFERENCES sweeps (id)
);
INSERT INTO "attempts" VALUES(1,1,1,1,'p','finished',NULL,NULL,0,'here',NULL,NULL,NULL,'{}','2026-11-22 23:06:17','2026-11-22 23:06:17',1.0);
INSERT INTO "attempts" VALUES(2,2,1,1,'p','failed','ValueError: odd','Traceback: here',0,'here',NULL,NULL,NULL,'{}','2026-11-22 23:06:17','2026-11-22 23:06:17',1.0);
INSERT INTO "attempts" VALUES(3,3,1,1,'p','diverged','NaN in epoch 1',NULL,0,'here',NULL,NULL,NULL,'{}','2026-11-22 23:06:17','2026-11-22 23:06:17',1.0);
CREATE TABLE cells (
	id INTEGER NOT NULL, 
	sweep_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	label VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	principle VARCHAR, 
	objective VARCHAR, 
	lam DOUBLE, 
	seed INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (sweep_id, label), 
	FOREIGN KEY(sweep_id) REFERENCES sweeps (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "cells" VALUES(1,1,1,'Cosine SEP λ=0 seed 0','multiview','Cosine','SEP',0.0,0);
INSERT INTO "cells" VALUES(2,1,2,'Cosine SEP λ=0.6 seed 0','multiview','Cosine','SEP',0.6,0);
INSERT INTO "cells" VALUES(3,1,3,'Cosine SEP λ=1 seed 0','multiview','Cosine','SEP',1.0,0);
INSERT INTO "cells" VALUES(4,1,4,'encoder seed 0','encoder',NULL,NULL,NULL,0);
CREATE TABLE epochs (
	attempt_id INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	train_total DOUBLE, 
	train_rec DOUBLE, 
	train_dis DOUBLE, 
	valid_total DOUBLE, 
	valid_rec DOUBLE, 
	valid_dis DOUBLE, 
	PRIMARY KEY (attempt_id, epoch), 
	FOREIGN KEY(attempt_id) REFERENCES attempts (id)
);
INSERT INTO "epochs" VALUES(1,1,1.0,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	sweep_id INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	detail TEXT NOT NULL, 
	happened DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(sweep_id) REFERENCES sweeps (id)
);
INSERT INTO "events" VALUES(1,1,'kind','detail','2026-11-22 23:06:17');
CREATE TABLE leases (
	sweep_id INTEGER NOT NULL, 
	token INTEGER NOT NULL, 
	host VARCHAR, 
	pid INTEGER, 
	process VARCHAR, 
	since DOUBLE NOT NULL, 
	heartbeat DOUBLE NOT NULL, 
	expires DOUBLE NOT NULL, 
	PRIMARY KEY (sweep_id), 
	FOREIGN KEY(sweep_id) REFERENCES sweeps (id)
);
INSERT INTO "leases" VALUES(1,1,NULL,NULL,NULL,1.79538877777398538592e+09,1.79538877777398538592e+09,1.79538877797700166701e+09);
CREATE TABLE map_points (
	map_id INTEGER NOT NULL, 
	clip INTEGER NOT NULL, 
	x DOUBLE NOT NULL, 
	y DOUBLE NOT NULL, 
	pitch INTEGER NOT NULL, 
	family VARCHAR NOT NULL, 
	PRIMARY KEY (map_id, clip), 
	FOREIGN KEY(map_id) REFERENCES maps (id)
);
INSERT INTO "map_points" VALUES(1,0,0.5,-0.5,60,'bass');
INSERT INTO "map_points" VALUES(1,1,-0.5,0.5,72,'organ');
CREATE TABLE maps (
	id INTEGER NOT NULL, 
	latents VARCHAR NOT NULL, 
	encoder VARCHAR NOT NULL, 
	tokens INTEGER NOT NULL, 
	width INTEGER NOT NULL, 
	pool VARCHAR NOT NULL, 
	method VARCHAR NOT NULL, 
	settings TEXT NOT NULL, 
	clips INTEGER NOT NULL, 
	separation_pitch DOUBLE, 
	separation_instrument DOUBLE, 
	created DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (latents, method)
);
INSERT INTO "maps" VALUES(1,'ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff','logmel',8,128,'flatten','PCA','{}',2,0.5,0.25,'2026-11-23 00:00:00');
CREATE TABLE meta (
	ledger VARCHAR(32) NOT NULL, 
	created DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	PRIMARY KEY (ledger)
);
INSERT INTO "meta" VALUES('050e70e61eed40848fb306d1216fc26a','2026-11-22 23:06:17');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	config TEXT NOT NULL, 
	created DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
INSERT INTO "runs" VALUES(1,'9a6da5f5e4883071695be8d0eaf7444482132ba026741de6bf010c4c5536eee8','{"data":{"dataset":"notes","downstream_clips":400,"encoder":"logmel","fingerprint":"","train_clips":400,"valid_clips":200},"kind":"multiview","lam":0.0,"loss":{"epsilon":1e-06,"gamma":null,"temperature":null,"vicreg":null},"model":{"hidden":null,"latent_activation":"none","pool":"encoder"},"objective":"SEP","principle":"Cosine","probe":{"batch":64,"dropout":0.5,"epochs":3,"lr":0.003,"weight_decay":0.0},"seed":0,"training":{"batch_pairs":16,"epochs":2,"lr":0.001,"weight_decay":0.001}}','2026-11-22 23:06:17');
INSERT INTO "runs" VALUES(2,'aa1a72c8b0c0032a3b3e1bc8b989644e9c9c92bcf3fc338984c9a97e9f72d229','{"data":{"dataset":"notes","downstream_clips":400,"encoder":"logmel","fingerprint":"","train_clips":400,"valid_clips":200},"kind":"multiview","lam":0.6,"loss":{"epsilon":1e-06,"gamma":"converged-ratio","temperature":null,"vicreg":null},"model":{"hidden":null,"latent_activation":"none","pool":"encoder"},"objective":"SEP","principle":"Cosine","probe":{"batch":64,"dropout":0.5,"epochs":3,"lr":0.003,"weight_decay":0.0},"seed":0,"training":{"batch_pairs":16,"epochs":2,"lr":0.001,"weight_decay":0.001}}','2026-11-22 23:06:17');
INSERT INTO "runs" VALUES(3,'fc43e52e69f0b7153cbbbabf43f080290c78c2da03cc81d3392bd6c2b903e1bd','{"data":{"dataset":"notes","downstream_clips":400,"encoder":"logmel","fingerprint":"","train_clips":400,"valid_clips":200},"kind":"multiview","lam":1.0,"loss":null,"model":{"hidden":null,"latent_activation":"none","pool":"encoder"},"objective":null,"principle":null,"probe":{"batch":64,"dropout":0.5,"epochs":3,"lr":0.003,"weight_decay":0.0},"seed":0,"training":{"batch_pairs":16,"epochs":2,"lr":0.001,"weight_decay":0.001}}','2026-11-22 23:06:17');
INSERT INTO "runs" VALUES(4,'f628b36ad9514a49b5efdbc0a478bda9ce44cee01d917c14cdc0522d82272dc3','{"data":{"dataset":"notes","downstream_clips":400,"encoder":"logmel","fingerprint":"","train_clips":400,"valid_clips":200},"kind":"encoder","lam":null,"loss":null,"model":null,"objective":null,"principle":null,"probe":{"batch":64,"dropout":0.5,"epochs":3,"lr":0.003,"weight_decay":0.0},"seed":0,"training":null}','2026-11-22 23:06:17');
CREATE TABLE scores (
	run_id INTEGER NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	mse DOUBLE, 
	gamma DOUBLE, 
	best_epoch INTEGER, 
	valid_rec DOUBLE, 
	valid_size INTEGER NOT NULL, 
	test_size INTEGER NOT NULL, 
	pitch_private DOUBLE, 
	pitch_shared DOUBLE, 
	pitch_overall DOUBLE, 
	instrument_private DOUBLE, 
	instrument_shared DOUBLE, 
	instrument_overall DOUBLE, 
	valid_pitch_private DOUBLE, 
	valid_pitch_shared DOUBLE, 
	valid_pitch_overall DOUBLE, 
	valid_instrument_private DOUBLE, 
	valid_instrument_shared DOUBLE, 
	valid_instrument_overall DOUBLE, 
	PRIMARY KEY (run_id), 
	FOREIGN KEY(run_id) REFERENCES runs (id), 
	FOREIGN KEY(attempt_id) REFERENCES attempts (id)
);
INSERT INTO "scores" VALUES(1,1,0.1,2.0,1,0.2,10,20,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5);
CREATE TABLE sweeps (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	options TEXT NOT NULL, 
	launch INTEGER NOT NULL, 
	created DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	launched DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "sweeps" VALUES(1,'a','{"grid": "smoke"}',2,'2026-11-22 23:06:17','2026-11-22 23:06:17');
CREATE INDEX ix_cells_run_id ON cells (run_id);
CREATE INDEX ix_attempts_run_id ON attempts (run_id);
CREATE INDEX ix_attempts_pack ON attempts (pack);
CREATE VIEW results AS SELECT
    sweeps.name AS sweep, cells.label, cells.kind, cells.principle, cells.objective,
    cells.lam, cells.seed, CASE
    WHEN scores.run_id IS NOT NULL THEN 'finished'
    WHEN attempts.id IS NULL THEN 'pending'
    WHEN attempts.state <> 'running' THEN attempts.state
    WHEN leases.token <> attempts.token OR leases.host IS NULL THEN 'interrupted'
    WHEN ((julianday('now') - 2440587.5) * 86400.0) BETWEEN leases.heartbeat - 1 AND leases.expires THEN 'running'
    ELSE 'unknown' END AS state, runs.key AS run_key,
    scores.mse, scores.gamma, scores.best_epoch, scores.test_size, scores.valid_size,
    scores.pitch_private, scores.pitch_shared, scores.pitch_overall, scores.instrument_private, scores.instrument_shared, scores.instrument_overall, scores.valid_pitch_private, scores.valid_pitch_shared, scores.valid_pitch_overall, scores.valid_instrument_private, scores.valid_instrument_shared, scores.valid_instrument_overall,
    scores.pitch_private - scores.pitch_shared AS delta_pitch,
    scores.instrument_shared - scores.instrument_private AS delta_instrument
FROM cells
JOIN sweeps ON sweeps.id = cells.sweep_id
JOIN runs ON runs.id = cells.run_id
LEFT JOIN scores ON scores.run_id = cells.run_id
LEFT JOIN attempts ON attempts.id =
    (SELECT MAX(tried.id) FROM attempts AS tried WHERE tried.run_id = cells.run_id)
LEFT JOIN leases ON leases.sweep_id = attempts.sweep_id
ORDER BY cells.id;
COMMIT;
