BEGIN TRANSACTION;
CREATE TABLE accuracies (
	run_id INTEGER NOT NULL, 
	part VARCHAR NOT NULL, 
	task VARCHAR NOT NULL, 
	subspace VARCHAR NOT NULL, 
	accuracy DOUBLE NOT NULL, 
	PRIMARY KEY (run_id, part, task, subspace), 
	FOREIGN KEY(run_id) REFERENCES scores (run_id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "accuracies" VALUES(1,'test','instrument','overall',0.5);
INSERT INTO "accuracies" VALUES(1,'test','instrument','private',0.5);
INSERT INTO "accuracies" VALUES(1,'test','instrument','shared',0.5);
INSERT INTO "accuracies" VALUES(1,'test','pitch','overall',0.5);
INSERT INTO "accuracies" VALUES(1,'test','pitch','private',0.5);
INSERT INTO "accuracies" VALUES(1,'test','pitch','shared',0.5);
INSERT INTO "accuracies" VALUES(1,'validation','instrument','overall',0.5);
INSERT INTO "accuracies" VALUES(1,'validation','instrument','private',0.5);
INSERT INTO "accuracies" VALUES(1,'validation','instrument','shared',0.5);
INSERT INTO "accuracies" VALUES(1,'validation','pitch','overall',0.5);
INSERT INTO "accuracies" VALUES(1,'validation','pitch','private',0.5);
INSERT INTO "accuracies" VALUES(1,'validation','pitch','shared',0.5);
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
	share DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id), 
	FOREIGN KEY(sweep_id) REFERENCES sweeps (id)
);
INSERT INTO "attempts" VALUES(1,1,1,1,'p','finished',NULL,NULL,0,'here',NULL,NULL,NULL,'{}','2026-11-25 07:57:07','2026-11-25 07:57:07',1.0,NULL);
INSERT INTO "attempts" VALUES(2,2,1,1,'p','failed','ValueError: odd','Traceback: here',0,'here',NULL,NULL,NULL,'{}','2026-11-25 07:57:07','2026-11-25 07:57:07',1.0,NULL);
INSERT INTO "attempts" VALUES(3,3,1,1,'p','diverged','NaN in epoch 1',NULL,0,'here',NULL,NULL,NULL,'{}','2026-11-25 07:57:07','2026-11-25 07:57:07',1.0,NULL);
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
	point TEXT DEFAULT '{}' NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (sweep_id, label), 
	FOREIGN KEY(sweep_id) REFERENCES sweeps (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "cells" VALUES(1,1,1,'Cosine SEP λ=0 seed 0','multiview','Cosine','SEP',0.0,0,'{"lam":0.0,"objective":"SEP","principle":"Cosine"}');
INSERT INTO "cells" VALUES(2,1,2,'Cosine SEP λ=0.6 seed 0','multiview','Cosine','SEP',0.6,0,'{"lam":0.6,"objective":"SEP","principle":"Cosine"}');
INSERT INTO "cells" VALUES(3,1,3,'Cosine SEP λ=1 seed 0','multiview','Cosine','SEP',1.0,0,'{"lam":1.0,"objective":"SEP","principle":"Cosine"}');
INSERT INTO "cells" VALUES(4,1,4,'encoder seed 0','encoder',NULL,NULL,NULL,0,'{}');
CREATE TABLE clips (
	latents VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	part VARCHAR NOT NULL, 
	labels TEXT NOT NULL, 
	note INTEGER NOT NULL, 
	twin BOOLEAN NOT NULL, 
	PRIMARY KEY (latents, position)
);
INSERT INTO "clips" VALUES('ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',0,'test','{}',0,0);
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
INSERT INTO "leases" VALUES(1,1,NULL,NULL,NULL,1.79559342797000694278e+09,1.79559342797000694278e+09,1.79559342799800920487e+09);
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
CREATE TABLE measures (
	run_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	value DOUBLE NOT NULL, 
	PRIMARY KEY (run_id, name), 
	FOREIGN KEY(run_id) REFERENCES scores (run_id) ON DELETE CASCADE
)
 WITHOUT ROWID

;
INSERT INTO "measures" VALUES(1,'cka',0.25);
CREATE TABLE meta (
	ledger VARCHAR(32) NOT NULL, 
	created DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	PRIMARY KEY (ledger)
);
INSERT INTO "meta" VALUES('c48c39b0d45241f18c5e087eaa1fee23','2026-11-25 07:57:07');
CREATE TABLE predictions (
	run_id INTEGER NOT NULL, 
	part VARCHAR NOT NULL, 
	task VARCHAR NOT NULL, 
	subspace VARCHAR NOT NULL, 
	classes BLOB NOT NULL, 
	PRIMARY KEY (run_id, part, task, subspace), 
	FOREIGN KEY(run_id) REFERENCES scores (run_id) ON DELETE CASCADE
);
INSERT INTO "predictions" VALUES(1,'test','pitch','private',X'78DA6364606260660000001A0007');
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	config TEXT NOT NULL, 
	created DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
INSERT INTO "runs" VALUES(1,'d21a7d519770a4d087065116a7def190be359d553801b89571a14d23b91612a9','{"data":{"dataset":"notes","downstream_clips":400,"encoder":"logmel","fingerprint":"","split":"note","train_clips":400,"valid_clips":200},"kind":"multiview","lam":0.0,"loss":{"epsilon":1e-06,"gamma":null,"temperature":null,"vicreg":null},"model":{"hidden":null,"latent_activation":"none","pool":"encoder"},"objective":"SEP","principle":"Cosine","probe":{"batch":64,"dropout":0.5,"epochs":3,"lr":0.003,"weight_decay":0.0},"seed":0,"training":{"batch_pairs":16,"epochs":2,"lr":0.001,"precision":"ieee","weight_decay":0.001}}','2026-11-25 07:57:07');
INSERT INTO "runs" VALUES(2,'e965d1d4b7d6c10eebf3610a166fad40f0ec22dbadbff2b0fbd47966d7c618c1','{"data":{"dataset":"notes","downstream_clips":400,"encoder":"logmel","fingerprint":"","split":"note","train_clips":400,"valid_clips":200},"kind":"multiview","lam":0.6,"loss":{"epsilon":1e-06,"gamma":"geometric-ratio","temperature":null,"vicreg":null},"model":{"hidden":null,"latent_activation":"none","pool":"encoder"},"objective":"SEP","principle":"Cosine","probe":{"batch":64,"dropout":0.5,"epochs":3,"lr":0.003,"weight_decay":0.0},"seed":0,"training":{"batch_pairs":16,"epochs":2,"lr":0.001,"precision":"ieee","weight_decay":0.001}}','2026-11-25 07:57:07');
INSERT INTO "runs" VALUES(3,'cc953afcf9c3995355844073a0f3e4c2cd1622dd0d0663d0fe42b78873665d24','{"data":{"dataset":"notes","downstream_clips":400,"encoder":"logmel","fingerprint":"","split":"note","train_clips":400,"valid_clips":200},"kind":"multiview","lam":1.0,"loss":null,"model":{"hidden":null,"latent_activation":"none","pool":"encoder"},"objective":null,"principle":null,"probe":{"batch":64,"dropout":0.5,"epochs":3,"lr":0.003,"weight_decay":0.0},"seed":0,"training":{"batch_pairs":16,"epochs":2,"lr":0.001,"precision":"ieee","weight_decay":0.001}}','2026-11-25 07:57:07');
INSERT INTO "runs" VALUES(4,'d439c9a11dedcfde80bf7f6d3ca07f5e86f2cd748fbfb87a298e517e46fa62b2','{"data":{"dataset":"notes","downstream_clips":400,"encoder":"logmel","fingerprint":"","split":"note","train_clips":400,"valid_clips":200},"kind":"encoder","lam":null,"loss":null,"model":null,"objective":null,"principle":null,"probe":{"batch":64,"dropout":0.5,"epochs":3,"lr":0.003,"weight_decay":0.0},"seed":0,"training":null}','2026-11-25 07:57:07');
CREATE TABLE schema_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "schema_version" VALUES('0004');
CREATE TABLE scores (
	run_id INTEGER NOT NULL, 
	attempt_id INTEGER NOT NULL, 
	mse DOUBLE, 
	gamma DOUBLE, 
	best_epoch INTEGER, 
	valid_rec DOUBLE, 
	valid_size INTEGER NOT NULL, 
	test_size INTEGER NOT NULL, 
	PRIMARY KEY (run_id), 
	FOREIGN KEY(run_id) REFERENCES runs (id), 
	FOREIGN KEY(attempt_id) REFERENCES attempts (id)
);
INSERT INTO "scores" VALUES(1,1,0.1,2.0,1,0.2,10,20);
CREATE TABLE sweeps (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	options TEXT NOT NULL, 
	launch INTEGER NOT NULL, 
	created DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	launched DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, 
	note TEXT, 
	git_commit VARCHAR, 
	git_dirty BOOLEAN, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "sweeps" VALUES(1,'a','{"grid": "smoke", "preset": "smoke"}',2,'2026-11-25 07:57:07','2026-11-25 07:57:07','a small one','0000000000000000000000000000000000000000',0);
CREATE INDEX ix_cells_run_id ON cells (run_id);
CREATE INDEX ix_attempts_pack ON attempts (pack);
CREATE INDEX ix_attempts_run_id ON attempts (run_id);
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
    (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'pitch' AND subspace = 'private') AS pitch_private, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'pitch' AND subspace = 'shared') AS pitch_shared, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'pitch' AND subspace = 'overall') AS pitch_overall, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'instrument' AND subspace = 'private') AS instrument_private, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'instrument' AND subspace = 'shared') AS instrument_shared, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'instrument' AND subspace = 'overall') AS instrument_overall, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'validation' AND task = 'pitch' AND subspace = 'private') AS valid_pitch_private, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'validation' AND task = 'pitch' AND subspace = 'shared') AS valid_pitch_shared, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'validation' AND task = 'pitch' AND subspace = 'overall') AS valid_pitch_overall, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'validation' AND task = 'instrument' AND subspace = 'private') AS valid_instrument_private, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'validation' AND task = 'instrument' AND subspace = 'shared') AS valid_instrument_shared, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'validation' AND task = 'instrument' AND subspace = 'overall') AS valid_instrument_overall, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'pitch' AND subspace = 'private') - (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'pitch' AND subspace = 'shared') AS delta_pitch, (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'instrument' AND subspace = 'shared') - (SELECT accuracy FROM accuracies WHERE accuracies.run_id = cells.run_id AND
    part = 'test' AND task = 'instrument' AND subspace = 'private') AS delta_instrument, json_extract(runs.config, '$.data.dataset') AS dataset, json_extract(runs.config, '$.data.encoder') AS encoder, json_extract(runs.config, '$.data.fingerprint') AS latents, json_extract(runs.config, '$.training.epochs') AS epochs, json_extract(runs.config, '$.training.lr') AS lr, json_extract(runs.config, '$.loss.gamma') AS gamma_rule, json_extract(runs.config, '$.training.precision') AS precision, cells.point
FROM cells
JOIN sweeps ON sweeps.id = cells.sweep_id
JOIN runs ON runs.id = cells.run_id
LEFT JOIN scores ON scores.run_id = cells.run_id
LEFT JOIN attempts ON attempts.id =
    (SELECT MAX(tried.id) FROM attempts AS tried WHERE tried.run_id = cells.run_id)
LEFT JOIN leases ON leases.sweep_id = attempts.sweep_id
ORDER BY cells.id;
COMMIT;
