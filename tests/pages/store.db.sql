BEGIN TRANSACTION;
CREATE TABLE time_series_data (
                    key TEXT NOT NULL,
                    idx INTEGER NOT NULL,
                    index_value TEXT NOT NULL,
                    value REAL,
                    PRIMARY KEY (key, idx)
                );
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',0,'2026-03-28 00:00:00',18.0);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',1,'2026-03-28 01:00:00',18.25);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',2,'2026-03-28 02:00:00',18.48);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',3,'2026-03-28 03:00:00',18.68);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',4,'2026-03-28 04:00:00',18.84);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',5,'2026-03-28 05:00:00',NULL);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',6,'2026-03-28 06:00:00',NULL);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',7,'2026-03-28 07:00:00',NULL);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',8,'2026-03-28 08:00:00',18.91);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',9,'2026-03-28 09:00:00',18.78);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',10,'2026-03-28 10:00:00',18.6);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',11,'2026-03-28 11:00:00',18.38);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',12,'2026-03-28 12:00:00',18.14);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',13,'2026-03-28 13:00:00',17.89);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',14,'2026-03-28 14:00:00',17.65);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',15,'2026-03-28 15:00:00',17.43);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',16,'2026-03-28 16:00:00',17.24);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',17,'2026-03-28 17:00:00',17.11);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',18,'2026-03-28 18:00:00',17.02);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',19,'2026-03-28 19:00:00',17.0);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',20,'2026-03-28 20:00:00',17.04);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',21,'2026-03-28 21:00:00',17.14);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',22,'2026-03-28 22:00:00',17.29);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RAW#1',23,'2026-03-28 23:00:00',17.49);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',0,'2026-03-28 00:00:00',18.0);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',1,'2026-03-28 01:00:00',18.25);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',2,'2026-03-28 02:00:00',18.48);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',3,'2026-03-28 03:00:00',18.68);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',4,'2026-03-28 04:00:00',18.84);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',5,'2026-03-28 05:00:00',18.8575);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',6,'2026-03-28 06:00:00',18.875);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',7,'2026-03-28 07:00:00',18.8925);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',8,'2026-03-28 08:00:00',18.91);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',9,'2026-03-28 09:00:00',18.78);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',10,'2026-03-28 10:00:00',18.6);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',11,'2026-03-28 11:00:00',18.38);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',12,'2026-03-28 12:00:00',18.14);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',13,'2026-03-28 13:00:00',17.89);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',14,'2026-03-28 14:00:00',17.65);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',15,'2026-03-28 15:00:00',17.43);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',16,'2026-03-28 16:00:00',17.24);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',17,'2026-03-28 17:00:00',17.11);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',18,'2026-03-28 18:00:00',17.02);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',19,'2026-03-28 19:00:00',17.0);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',20,'2026-03-28 20:00:00',17.04);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',21,'2026-03-28 21:00:00',17.14);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',22,'2026-03-28 22:00:00',17.29);
INSERT INTO "time_series_data" VALUES('plant/flow#1/LIN-INT#1',23,'2026-03-28 23:00:00',17.49);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RESAMPLED#1',0,'2026-03-28 00:00:00',1.85179166666666681351e+01);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RESAMPLED#1',1,'2026-03-28 06:00:00',1.8739583333333332149e+01);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RESAMPLED#1',2,'2026-03-28 12:00:00',1.75766666666666644398e+01);
INSERT INTO "time_series_data" VALUES('plant/flow#1/RESAMPLED#1',3,'2026-03-28 18:00:00',1.71633333333333304437e+01);
CREATE TABLE time_series_metadata (
                    key TEXT PRIMARY KEY,
                    metadata_json TEXT NOT NULL,
                    series_name TEXT,
                    length INTEGER,
                    dtype TEXT
                );
INSERT INTO "time_series_metadata" VALUES('plant/flow#1/RAW#1','{"processing_steps": [], "index_metadata": {"type": "DatetimeIndex", "name": null, "frequency": "h", "time_zone": null, "closed": null, "categories": null, "ordered": null, "start": null, "end": null, "step": null, "dtype": "datetime64[us]"}, "values_dtype": "float64", "metadata_id": "1", "created_on": "2026-11-29T11:43:55.773254"}','flow#1_RAW#1',24,'float64');
INSERT INTO "time_series_metadata" VALUES('plant/flow#1/LIN-INT#1','{"processing_steps": [{"type": "gap_filling", "description": "A simple processing function that linearly interpolates a series", "run_datetime": "2026-11-29T11:43:55.900392", "requires_calibration": false, "function_info": {"name": "linear interpolation", "version": "0.1", "author": "meteaudata", "reference": "www.github.com/modelEAU/meteaudata", "source_code": ""}, "parameters": {}, "step_distance": 0, "suffix": "LIN-INT", "input_series_names": ["flow#1_RAW#1"]}], "index_metadata": {"type": "DatetimeIndex", "name": null, "frequency": "h", "time_zone": null, "closed": null, "categories": null, "ordered": null, "start": null, "end": null, "step": null, "dtype": "datetime64[us]"}, "values_dtype": "float64", "metadata_id": null, "created_on": "2026-11-29T11:43:55.901932"}','flow#1_LIN-INT#1',24,'float64');
INSERT INTO "time_series_metadata" VALUES('plant/flow#1/RESAMPLED#1','{"processing_steps": [{"type": "gap_filling", "description": "A simple processing function that linearly interpolates a series", "run_datetime": "2026-11-29T11:43:55.900392", "requires_calibration": false, "function_info": {"name": "linear interpolation", "version": "0.1", "author": "meteaudata", "reference": "www.github.com/modelEAU/meteaudata", "source_code": ""}, "parameters": {}, "step_distance": 0, "suffix": "LIN-INT", "input_series_names": ["flow#1_RAW#1"]}, {"type": "resampling", "description": "A simple processing function that resamples a series to a given frequency", "run_datetime": "2026-11-29T11:43:55.905323", "requires_calibration": false, "function_info": {"name": "resample", "version": "0.1", "author": "meteaudata", "reference": "www.github.com/modelEAU/meteaudata", "source_code": ""}, "parameters": {"frequency": "6h"}, "step_distance": 0, "suffix": "RESAMPLED", "input_series_names": ["flow#1_LIN-INT#1"]}], "index_metadata": {"type": "DatetimeIndex", "name": null, "frequency": "6h", "time_zone": null, "closed": null, "categories": null, "ordered": null, "start": null, "end": null, "step": null, "dtype": "datetime64[us]"}, "values_dtype": "float64", "metadata_id": null, "created_on": "2026-11-29T11:43:55.909270"}','flow#1_RESAMPLED#1',4,'float64');
CREATE INDEX idx_key
                ON time_series_data(key)
            ;
COMMIT;
