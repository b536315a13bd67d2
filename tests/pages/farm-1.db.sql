CREATE TABLE experiments (experiment_id VARCHAR(64) PRIMARY KEY, name VARCHAR(255) NOT NULL, description VARCHAR(4096),
  hypothesis VARCHAR(2048), creation_date DATETIME, last_updated DATETIME, status VARCHAR(50), tags JSON, variables JSON,
  results_summary JSON, notes VARCHAR(4096));
CREATE TABLE simulations (simulation_id VARCHAR(64) PRIMARY KEY, experiment_id VARCHAR(64), start_time DATETIME, end_time DATETIME,
  status VARCHAR(50), parameters JSON NOT NULL, results_summary JSON, simulation_db_path VARCHAR(255) NOT NULL);
CREATE TABLE agents (simulation_id VARCHAR(64), agent_id VARCHAR(64) PRIMARY KEY, birth_time INTEGER, death_time INTEGER,
  agent_type VARCHAR(50), position_x FLOAT, position_y FLOAT, initial_resources FLOAT, starting_health FLOAT, genome_id VARCHAR(64),
  generation INTEGER, action_weights JSON);
CREATE TABLE agent_states (id VARCHAR(128) PRIMARY KEY, simulation_id VARCHAR(64), step_number INTEGER, agent_id VARCHAR(64),
  position_x FLOAT, position_y FLOAT, position_z FLOAT, resource_level FLOAT, current_health FLOAT, starting_health FLOAT,
  starvation_counter INTEGER, is_defending BOOLEAN, total_reward FLOAT, age INTEGER);
CREATE TABLE resource_states (id INTEGER PRIMARY KEY, simulation_id VARCHAR(64), step_number INTEGER, resource_id VARCHAR(64),
  amount FLOAT, position_x FLOAT, position_y FLOAT);
CREATE TABLE simulation_steps (step_number INTEGER, simulation_id VARCHAR(64), total_agents INTEGER, agent_type_counts JSON,
  total_resources FLOAT, average_agent_resources FLOAT, births INTEGER, deaths INTEGER, current_max_generation INTEGER,
  resource_efficiency FLOAT, resource_distribution_entropy FLOAT, average_agent_health FLOAT, average_agent_age INTEGER,
  average_reward FLOAT, genetic_diversity FLOAT, dominant_genome_ratio FLOAT, resources_consumed FLOAT,
  PRIMARY KEY (step_number, simulation_id));
CREATE TABLE agent_actions (action_id INTEGER PRIMARY KEY, simulation_id VARCHAR(64), step_number INTEGER, agent_id VARCHAR(64),
  action_type VARCHAR(20), action_target_id VARCHAR(64), reward FLOAT, details VARCHAR(1024), module_type VARCHAR(50), module_id VARCHAR(64));
CREATE TABLE health_incidents (incident_id INTEGER PRIMARY KEY, simulation_id VARCHAR(64), step_number INTEGER, agent_id VARCHAR(64),
  health_before FLOAT, health_after FLOAT, cause VARCHAR(50), details VARCHAR(512));
CREATE TABLE simulation_config (simulation_id VARCHAR(64), config_id INTEGER PRIMARY KEY, timestamp INTEGER, config_data VARCHAR(4096));
INSERT INTO simulations VALUES ('sim_001', NULL, '2026-01-19 12:00:00.000000', '2026-01-19 12:01:00.000000', 'completed', '{"rate": 0.1, "seed": 1}', '{"final_agents": 2}', 'farm-1.db');
INSERT INTO agents VALUES ('sim_001', 'agent_0', 0, NULL, 'system', 0.0, 0.0, 5.0, 100.0, NULL, 0, NULL);
INSERT INTO agents VALUES ('sim_001', 'agent_1', 0, NULL, 'system', 1.0, 0.0, 5.0, 100.0, NULL, 0, NULL);
INSERT INTO agent_states VALUES ('sim_001:agent_0-0', 'sim_001', 0, 'agent_0', 0.0, 0.0, NULL, 5.0, 100.0, 100.0, 0, 0, 0.0, 0);
INSERT INTO agent_states VALUES ('sim_001:agent_1-0', 'sim_001', 0, 'agent_1', 1.0, 0.0, NULL, 5.0, 100.0, 100.0, 0, 0, 0.0, 0);
INSERT INTO simulation_steps (step_number, simulation_id, total_agents, average_reward) VALUES (0, 'sim_001', 2, 0.0);
INSERT INTO agent_actions VALUES (1, 'sim_001', 0, 'agent_0', 'move', NULL, 0.1, '{"dx": 1}', NULL, NULL);
INSERT INTO agent_states VALUES ('sim_001:agent_0-1', 'sim_001', 1, 'agent_0', 0.0, 0.5, NULL, 5.0, 99.0, 100.0, 0, 0, 0.1, 1);
INSERT INTO agent_states VALUES ('sim_001:agent_1-1', 'sim_001', 1, 'agent_1', 1.0, 0.5, NULL, 5.0, 99.0, 100.0, 0, 0, 0.1, 1);
INSERT INTO simulation_steps (step_number, simulation_id, total_agents, average_reward) VALUES (1, 'sim_001', 2, 0.1);
INSERT INTO agent_actions VALUES (2, 'sim_001', 1, 'agent_0', 'move', NULL, 0.1, '{"dx": 1}', NULL, NULL);
INSERT INTO agent_states VALUES ('sim_001:agent_0-2', 'sim_001', 2, 'agent_0', 0.0, 1.0, NULL, 5.0, 98.0, 100.0, 0, 0, 0.2, 2);
INSERT INTO agent_states VALUES ('sim_001:agent_1-2', 'sim_001', 2, 'agent_1', 1.0, 1.0, NULL, 5.0, 98.0, 100.0, 0, 0, 0.2, 2);
INSERT INTO simulation_steps (step_number, simulation_id, total_agents, average_reward) VALUES (2, 'sim_001', 2, 0.2);
INSERT INTO agent_actions VALUES (3, 'sim_001', 2, 'agent_0', 'move', NULL, 0.1, '{"dx": 1}', NULL, NULL);
