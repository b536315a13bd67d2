//! The documented tables, as tables of records like any other.

use super::schema::{Column, RecordSchema, Shape};

/// Numbers of the built-in tables in [`all`].
pub(super) const AGENTS: usize = 0;
pub(super) const AGENT_STATES: usize = 1;
pub(super) const RESOURCE_STATES: usize = 2;
pub(super) const SIMULATION_STEPS: usize = 3;
pub(super) const AGENT_ACTIONS: usize = 4;
pub(super) const HEALTH_INCIDENTS: usize = 5;
pub(super) const SIMULATION_CONFIG: usize = 6;
pub(super) const METRICS: usize = 7;

/// The column of `simulation_steps` that holds what has no column there.
pub(super) const OTHER_METRICS: &str = "other_metrics";

/// The tables, in the order of their numbers.
pub(super) fn all() -> [RecordSchema; 8] {
    let step = Some("step_number");
    [
        table(
            "agents",
            Shape::Unique,
            Some("birth_time"),
            None,
            Some("agent_id"),
            &[
                "agent_id category",
                "death_time int64",
                "agent_type category",
                "position_x float64",
                "position_y float64",
                "initial_resources float64",
                "starting_health float64",
                "genome_id text",
                "generation int64",
                "action_weights json",
            ],
        ),
        table(
            "agent_states",
            Shape::Keyed,
            step,
            Some("id"),
            Some("agent_id"),
            &[
                "agent_id category",
                "position_x float64",
                "position_y float64",
                "position_z float64",
                "resource_level float64",
                "current_health float64",
                "starting_health float64",
                "starvation_counter int64",
                "is_defending bool",
                "total_reward float64",
                "age int64",
            ],
        ),
        table(
            "resource_states",
            Shape::Many,
            step,
            Some("id"),
            None,
            &["resource_id category", "amount float64", "position_x float64", "position_y float64"],
        ),
        table(
            "simulation_steps",
            Shape::Single,
            step,
            None,
            None,
            &[
                "total_agents int64",
                "agent_type_counts json",
                "total_resources float64",
                "average_agent_resources float64",
                "births int64",
                "deaths int64",
                "current_max_generation int64",
                "resource_efficiency float64",
                "resource_distribution_entropy float64",
                "average_agent_health float64",
                "average_agent_age float64",
                "average_reward float64",
                "genetic_diversity float64",
                "dominant_genome_ratio float64",
                "resources_consumed float64",
                "other_metrics json",
            ],
        ),
        table(
            "agent_actions",
            Shape::Many,
            step,
            Some("action_id"),
            None,
            &[
                "agent_id category",
                "action_type category",
                "action_target_id category",
                "reward float64",
                "details json",
                "module_type category",
                "module_id category",
            ],
        ),
        table(
            "health_incidents",
            Shape::Many,
            step,
            Some("incident_id"),
            None,
            &[
                "agent_id category",
                "health_before float64",
                "health_after float64",
                "cause category",
                "details json",
            ],
        ),
        table(
            "simulation_config",
            Shape::Many,
            None,
            Some("config_id"),
            None,
            &["timestamp int64", "config_data json"],
        ),
        table(
            "simulation_metrics",
            Shape::Series,
            step,
            None,
            Some("name"),
            &["name category", "value float64", "time_ms int64"],
        ),
    ]
}

fn table(
    name: &str,
    shape: Shape,
    step: Option<&str>,
    id: Option<&str>,
    key: Option<&str>,
    columns: &[&str],
) -> RecordSchema {
    let column = |text: &&str| {
        let (name, kind) = text.split_once(' ').expect("a name and a type");
        Column { name: name.into(), kind: kind.parse().expect("a known type") }
    };
    let mut schema = RecordSchema {
        name: name.into(),
        shape,
        step: step.map(str::to_owned),
        id: id.map(str::to_owned),
        key: None,
        columns: columns.iter().map(column).collect(),
    };
    schema.key = key.and_then(|key| schema.position(key));
    schema
}
