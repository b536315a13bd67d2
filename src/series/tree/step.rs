//! What was done to a series: processing steps, and the history that they make.

use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};

use crate::series::data::Metadata;

/// The kind of a processing step. The texts are those of meteaudata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessingType {
    /// Points were brought into order.
    Sorting,
    /// Points that are there twice were removed.
    RemoveDuplicates,
    /// The values were smoothed.
    Smoothing,
    /// Values were filtered or replaced.
    Filtering,
    /// The points are at other times, or fewer.
    Resampling,
    /// Missing values were filled.
    GapFilling,
    /// The values are predictions.
    Prediction,
    /// The values or the index were computed anew.
    Transformation,
    /// Several series became fewer.
    DimensionalityReduction,
    /// Faults were looked for.
    FaultDetection,
    /// Faults were named.
    FaultIdentification,
    /// The causes of faults were looked for.
    FaultDiagnosis,
    /// A series was written under other names.
    ExportRename,
    /// Something else.
    Other,
}

/// The function of a processing step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionInfo {
    /// What it is called.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who wrote it.
    pub author: String,
    /// Where it is described.
    pub reference: String,
    /// Its source text. A store keeps it once, whatever the number of steps that have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_code: Option<String>,
    /// What else is known of it.
    #[serde(flatten)]
    pub more: Metadata,
}

impl FunctionInfo {
    /// A function of this name and version.
    pub fn new(name: impl Into<String>, version: impl Into<String>) -> Self {
        FunctionInfo { name: name.into(), version: version.into(), ..Self::default() }
    }
}

/// One step of the history of a series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessingStep {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: ProcessingType,
    /// What was done, in words.
    #[serde(default)]
    pub description: String,
    /// When: ISO 8601.
    #[serde(default)]
    pub run_datetime: String,
    /// Whether it needs a calibration.
    #[serde(default)]
    pub requires_calibration: bool,
    /// The function that did it.
    #[serde(default)]
    pub function_info: FunctionInfo,
    /// What it was given beside the series.
    #[serde(default)]
    pub parameters: Option<Metadata>,
    /// How many steps of the index the values are ahead: 1 for a prediction of the next point.
    #[serde(default)]
    pub step_distance: i64,
    /// What the series it makes is called.
    #[serde(default)]
    pub suffix: String,
    /// The full names of the series it was given.
    #[serde(default)]
    pub input_series_names: Vec<String>,
    /// The full name of the series it made, once that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_series_name: Option<String>,
    /// What else is known of it.
    #[serde(flatten)]
    pub more: Metadata,
}

impl ProcessingStep {
    /// A step of this kind, done now by this function; the suffix names the series that it makes.
    pub fn new(kind: ProcessingType, function: FunctionInfo, suffix: impl Into<String>) -> Self {
        ProcessingStep {
            kind,
            description: String::new(),
            run_datetime: now(),
            requires_calibration: false,
            function_info: function,
            parameters: None,
            step_distance: 0,
            suffix: suffix.into(),
            input_series_names: Vec::new(),
            output_series_name: None,
            more: Metadata::new(),
        }
    }

    /// The same step with this description.
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The same step with these parameters.
    pub fn with_parameters(mut self, parameters: Metadata) -> Self {
        self.parameters = Some(parameters);
        self
    }
}

/// The time now: ISO 8601 with microseconds, of UTC. No two calls of a process get the same, and each is later
/// than the one before, so what was made can be brought into its order by it.
pub fn now() -> String {
    static LAST: AtomicI64 = AtomicI64::new(i64::MIN);
    let clock = jiff::Timestamp::now().as_microsecond();
    let next = |last: i64| clock.max(last.saturating_add(1));
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
    let last = last.unwrap_or_else(|last| last);
    let now = jiff::Timestamp::from_microsecond(next(last)).unwrap_or(jiff::Timestamp::MAX);
    now.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

/// The history of a series that a function made: the steps of its inputs, each once, then its own.
///
/// `inputs` are the full names of what the function was given, with their histories. If the first new step names
/// some of them, the series was made of those and of no other; else it was made of all. `output` is the full
/// name of the series, which the new steps get.
pub fn history(
    inputs: &[(&str, &[ProcessingStep])],
    new: Vec<ProcessingStep>,
    output: &str,
) -> Vec<ProcessingStep> {
    let given = |step: &ProcessingStep| -> Vec<String> {
        let known = |name: &&String| inputs.iter().any(|(input, _)| input == *name);
        let named: Vec<String> = step.input_series_names.iter().filter(known).cloned().collect();
        let all = || inputs.iter().map(|(name, _)| (*name).to_owned()).collect();
        if named.is_empty() { all() } else { named }
    };
    let used: Vec<String> = match new.first() {
        Some(step) => given(step),
        None => inputs.iter().map(|(name, _)| (*name).to_owned()).collect(),
    };
    let mut steps: Vec<ProcessingStep> = Vec::new();
    for (name, history) in inputs {
        if used.iter().any(|used| used == name) {
            for step in *history {
                if !steps.contains(step) {
                    steps.push(step.clone());
                }
            }
        }
    }
    for mut step in new {
        step.input_series_names = used.clone();
        step.output_series_name = Some(output.to_owned());
        steps.push(step);
    }
    steps
}

/// One edge of a dependency graph: a series that was made of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// What was done: the name of the function, or the description of the step.
    pub step: String,
    /// The kind of the step.
    #[serde(rename = "type")]
    pub kind: ProcessingType,
    /// The full name of the series that it was made of.
    pub origin: String,
    /// The full name of the series that was made.
    pub destination: String,
}

/// What this series was made of, back to what nobody made: from its history alone, so that series which are
/// no longer there are in it too.
pub fn dependencies(series: &str, steps: &[ProcessingStep]) -> Vec<Dependency> {
    let mut edges: Vec<Dependency> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        // A step of meteaudata does not say what it made: the input of the step behind it.
        let made = step.output_series_name.clone().or_else(|| {
            let next = steps.get(i + 1)?.input_series_names.first()?;
            Some(next.clone())
        });
        let made = made.unwrap_or_else(|| series.to_owned());
        let name = match (step.function_info.name.as_str(), step.description.as_str()) {
            ("", description) => description,
            (name, _) => name,
        };
        for origin in &step.input_series_names {
            let edge = Dependency {
                step: name.to_owned(),
                kind: step.kind,
                origin: origin.clone(),
                destination: made.clone(),
            };
            if !edges.contains(&edge) {
                edges.push(edge);
            }
        }
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(suffix: &str, inputs: &[&str]) -> ProcessingStep {
        let inputs = inputs.iter().map(|name| (*name).to_owned()).collect();
        let step =
            ProcessingStep::new(ProcessingType::Other, FunctionInfo::new(suffix, "1"), suffix);
        ProcessingStep { input_series_names: inputs, ..step }
    }

    /// Goal: each output of a function over several series has the history of what it was made of, and of
    /// nothing else.
    #[test]
    fn a_series_has_the_history_of_its_own_inputs() {
        let (a, b) = (vec![step("S", &["a"])], vec![step("T", &["b"])]);
        let inputs = [("A", a.as_slice()), ("B", b.as_slice())];
        let one = history(&inputs, vec![step("R", &["B"])], "B2");
        assert_eq!(one.iter().map(|s| s.suffix.as_str()).collect::<Vec<_>>(), ["T", "R"]);
        assert_eq!(one[1].output_series_name.as_deref(), Some("B2"));
        let both = history(&inputs, vec![step("M", &[])], "AB");
        assert_eq!(both.len(), 3);
        assert_eq!(both[2].input_series_names, ["A", "B"]);
        let foreign = history(&inputs, vec![step("M", &["elsewhere"])], "AB");
        assert_eq!(
            foreign[2].input_series_names,
            ["A", "B"],
            "an input that was not given is none"
        );
    }

    /// Goal: what a step says that this version does not know stays with it.
    #[test]
    fn a_step_keeps_what_it_does_not_know() {
        let text = r#"{"type":"gap_filling","suffix":"X","confidence":{"p":0.5},
            "function_info":{"name":"f","licence":"MIT"}}"#;
        let step: ProcessingStep = serde_json::from_str(text).unwrap();
        let again = serde_json::to_value(&step).unwrap();
        assert_eq!(again["confidence"]["p"], 0.5);
        assert_eq!(again["function_info"]["licence"], "MIT");
    }

    /// Goal: a graph of meteaudata steps, which do not say what they made, is the same chain.
    #[test]
    fn meteaudata_steps_make_a_chain() {
        let steps = [step("R", &["A_RAW"]), step("L", &["A_R"])];
        let edges = dependencies("A_L", &steps);
        let names: Vec<_> =
            edges.iter().map(|e| (e.origin.as_str(), e.destination.as_str())).collect();
        assert_eq!(names, [("A_RAW", "A_R"), ("A_R", "A_L")]);
    }
}
