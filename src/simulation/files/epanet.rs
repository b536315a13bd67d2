//! EPANET's binary output.
//!
//! All numbers have four bytes, low byte first:
//!
//! ```text
//! prolog    15 integers, 584 + 260 bytes of texts, 32 bytes an id; ends, type of each link; index, area of each tank;
//!           elevation of each node; length, diameter of each link
//! energy    28 bytes a pump, 4 more
//! periods   4 floats a node, 8 a link: one quantity after another
//! epilog    4 reaction rates, number of periods, whether there were warnings, the magic number again
//! ```
//!
//! # Source
//! EPANET 2.2 user manual, "Binary Output File Format".

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::FileOptions;
use super::build::given;
use super::rows::{Cell, Clock, NoTime};
use crate::array::{Array, DType, Kind};
use crate::error::{Error, Result};
use crate::kernel::open_file;
use crate::simulation::update::{Group, Update};

const MAGIC: i32 = 516_114_521;
/// Whether a file begins as an output of EPANET does.
pub(crate) fn is_epanet(begin: &[u8]) -> bool {
    begin.starts_with(&MAGIC.to_le_bytes())
}

/// The integers at the beginning.
const INTEGERS: usize = 15;
/// Titles, names of files, of the chemical and of its unit.
const TEXTS: u64 = 3 * 80 + 2 * 260 + 2 * 32;
const ID: usize = 32;
const EPILOG: u64 = 28;

const NODE: [&str; 4] = ["demand", "head", "pressure", "quality"];
const LINK: [&str; 8] = [
    "flow",
    "velocity",
    "headloss",
    "quality",
    "status",
    "setting",
    "reaction_rate",
    "friction_factor",
];
const LINK_TYPES: [&str; 9] = ["CVPIPE", "PIPE", "PUMP", "PRV", "PSV", "PBV", "FCV", "TCV", "GPV"];
const FLOW_UNITS: [&str; 10] =
    ["CFS", "GPM", "MGD", "IMGD", "AFD", "LPS", "LPM", "MLD", "CMH", "CMD"];
const QUALITY: [&str; 4] = ["no quality", "a chemical", "age", "a traced source"];
const STATISTICS: [&str; 5] = ["", "averages", "minima", "maxima", "ranges"];

/// An output whose beginning was read.
pub(super) struct Output<'a> {
    path: &'a Path,
    from: BufReader<File>,
    nodes: usize,
    links: usize,
    start: i64,
    step: i64,
    pub(super) periods: u64,
    done: u64,
    /// Entities of all periods.
    pub(super) rows: u64,
    /// What does not change, for the first update.
    fixed: [Group; 2],
    pub(super) taken_for: String,
    /// Why the file ends early, if it does.
    pub(super) ends_early: Option<String>,
}

fn damaged(path: &Path, why: impl Into<String>) -> Error {
    let (location, what) = (path.display().to_string(), "the output of EPANET".to_owned());
    Error::Corrupt { location, what, why: why.into() }
}

/// Reads numbers and ids.
struct Reading<'a> {
    path: &'a Path,
    from: BufReader<File>,
}

impl Reading<'_> {
    fn bytes(&mut self, n: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; n];
        let read = self.from.read_exact(&mut bytes);
        read.map_err(|e| Error::io(self.path, "reading it", &e))?;
        Ok(bytes)
    }

    fn integers(&mut self, n: usize) -> Result<Vec<i32>> {
        let bytes = self.bytes(4 * n)?;
        let chunks = bytes.as_chunks().0;
        Ok(chunks.iter().map(|n| i32::from_le_bytes(*n)).collect())
    }

    fn floats(&mut self, n: usize) -> Result<Array> {
        Array::new(DType::of(Kind::Float, 4), vec![n], self.bytes(4 * n)?)
    }

    /// Ids end with a zero; those that are not UTF-8 are Latin-1.
    fn ids(&mut self, n: usize) -> Result<Vec<String>> {
        let bytes = self.bytes(ID * n)?;
        let ids = bytes.chunks_exact(ID).map(|id| {
            let id = id.split(|c| *c == 0).next().unwrap_or_default();
            let latin = || id.iter().copied().map(char::from).collect();
            std::str::from_utf8(id).map_or_else(|_| latin(), str::to_owned)
        });
        Ok(ids.collect())
    }

    /// Numbers of nodes, from 1.
    fn nodes(&mut self, n: usize, nodes: usize) -> Result<Vec<i64>> {
        let found = self.integers(n)?;
        match found.iter().find(|node| **node < 1 || **node as usize > nodes) {
            Some(node) => Err(damaged(self.path, format!("it names node {node} of {nodes}"))),
            None => Ok(found.into_iter().map(i64::from).collect()),
        }
    }
}

/// Opens an output and reads what does not change.
pub(super) fn open(path: &Path, clock: Clock) -> Result<Output<'_>> {
    let file = open_file(path)?;
    let size = file.metadata().map_err(|e| Error::io(path, "reading it", &e))?.len();
    let mut reading = Reading { path, from: BufReader::with_capacity(1 << 20, file) };
    let refuse = |got: String| {
        Err(Error::invalid(path.display().to_string(), "binary output of EPANET 2", got))
    };
    if size < 4 * INTEGERS as u64 {
        return refuse(format!("a file of {size} bytes"));
    }
    let head: [i32; INTEGERS] = reading.integers(INTEGERS)?.try_into().expect("so many were read");
    if head[0] != MAGIC {
        return refuse("a file that begins otherwise".into());
    }
    let [_, version, counts @ .., quality, _, flow, _, statistics, start, step, duration] = head;
    if let Some(count) = counts.iter().find(|count| **count < 0) {
        return Err(damaged(path, format!("a count in it is {count}")));
    }
    let [nodes, tanks, links, pumps, _] = counts.map(|count| count as u64);
    let (prolog, energy) = (
        4 * INTEGERS as u64
            + TEXTS
            + (ID as u64 + 4) * nodes
            + (ID as u64 + 20) * links
            + 8 * tanks,
        28 * pumps + 4,
    );
    let (begin, period) = (prolog + energy, 16 * nodes + 32 * links);
    if size < begin + period || period == 0 || tanks > nodes {
        return Err(damaged(
            path,
            format!("{nodes} nodes and {links} links need more than its {size} bytes"),
        ));
    }
    let rest = size - begin;
    reading.from.seek(SeekFrom::End(-12)).map_err(|e| Error::io(path, "reading it", &e))?;
    let [stored, warning, magic] = reading.integers(3)?.try_into().expect("so many were read");
    let is_whole =
        magic == MAGIC && period.checked_mul(stored.max(0) as u64) == rest.checked_sub(EPILOG);
    let periods = if is_whole { stored as u64 } else { rest / period };
    let most = match (statistics, step) {
        (0, 1..) => (i64::from(duration) - i64::from(start)).max(0) as u64 / step as u64 + 1,
        _ => 1,
    };
    if periods == 0 || periods > most {
        return Err(damaged(
            path,
            format!("it has {periods} periods, and by its times at most {most}"),
        ));
    }
    let texts = reading.from.seek(SeekFrom::Start(4 * INTEGERS as u64 + TEXTS));
    texts.map_err(|e| Error::io(path, "reading it", &e))?;
    let name = |names: &[&'static str], at: i32| {
        usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or("unknown")
    };
    let (nodes, links, tanks) = (nodes as usize, links as usize, tanks as usize);
    let fixed = fixed(&mut reading, (nodes, links, tanks))?;
    let from = reading.from.seek(SeekFrom::Start(begin));
    from.map_err(|e| Error::io(path, "reading it", &e))?;
    let mut taken_for = format!(
        "binary output of EPANET, version {version}: {nodes} nodes ({tanks} of them tanks or reservoirs), {links} links, \
         {periods} periods of {step} s from {start} s{}, flow in {}, quality: {}",
        clock.in_words(),
        name(&FLOW_UNITS, flow),
        name(&QUALITY, quality),
    );
    if statistics != 0 {
        taken_for += &format!("; the period has {} over the run", name(&STATISTICS, statistics));
    }
    if is_whole && warning != 0 {
        taken_for += "; EPANET gave warnings";
    }
    let ends_early = (!is_whole).then(|| {
        format!("it ends early, or is still written: {periods} whole periods of {most} are there")
    });
    let (start, step) = (i64::from(start), i64::from(step));
    let from = reading.from;
    Ok(Output {
        path,
        from,
        nodes,
        links,
        start,
        step,
        periods,
        done: 0,
        rows: periods * (nodes + links) as u64,
        fixed,
        taken_for,
        ends_early,
    })
}

/// What does not change of nodes and links.
fn fixed(
    reading: &mut Reading<'_>,
    (nodes, links, tanks): (usize, usize, usize),
) -> Result<[Group; 2]> {
    let (node_ids, link_ids) = (reading.ids(nodes)?, reading.ids(links)?);
    let (begins, ends) = (reading.nodes(links, nodes)?, reading.nodes(links, nodes)?);
    let types = reading.integers(links)?;
    let (tank_nodes, areas) = (reading.nodes(tanks, nodes)?, reading.floats(tanks)?);
    let (elevations, lengths, diameters) =
        (reading.floats(nodes)?, reading.floats(links)?, reading.floats(links)?);
    let mut kinds = vec!["JUNCTION"; nodes];
    for (node, area) in tank_nodes.iter().zip(areas.to_vec::<f32>().unwrap_or_default()) {
        kinds[*node as usize - 1] = if area == 0.0 { "RESERVOIR" } else { "TANK" };
    }
    let kind = |of: &i32| {
        let known = usize::try_from(*of).ok().and_then(|of| LINK_TYPES.get(of));
        known.map_or_else(|| of.to_string(), |of| (*of).to_owned())
    };
    let types: Vec<String> = types.iter().map(kind).collect();
    let text = |texts: &[String]| given(Array::from_strs(texts));
    Ok([
        Group::new("nodes")
            .with("name", text(&node_ids)?)
            .with("type", Array::from_strs(&kinds))
            .with("elevation", given(elevations)?),
        Group::new("links")
            .with("name", text(&link_ids)?)
            .with("type", text(&types)?)
            .with("topology.from_node_id", begins)
            .with("topology.to_node_id", ends)
            .with("length", given(lengths)?)
            .with("diameter", given(diameters)?),
    ])
}

impl Output<'_> {
    /// The update of the next period.
    pub(super) fn next_update(
        &mut self,
        options: &FileOptions,
        clock: Clock,
    ) -> Result<Option<Update>> {
        if self.done == self.periods {
            return Ok(None);
        }
        let time = self.start + self.done as i64 * self.step;
        let timestamp = clock.timestamp(Cell::Int(time)).map_err(|error| match error {
            NoTime::Bad(why) => damaged(self.path, why),
            NoTime::Unclear(error) => error,
        })?;
        self.done += 1;
        let [node, link] = &mut self.fixed;
        let fixed = [std::mem::take(&mut node.attributes), std::mem::take(&mut link.attributes)];
        let mut data = Vec::new();
        for ((name, count), (quantities, fixed)) in [("nodes", self.nodes), ("links", self.links)]
            .into_iter()
            .zip([&NODE[..], &LINK[..]].into_iter().zip(fixed))
        {
            let ids: Vec<i64> = (1..=count as i64).collect();
            let mut group = Group::new(name).with("id", &ids);
            group.attributes.extend(fixed);
            for quantity in quantities {
                let mut bytes = vec![0; 4 * count];
                let read = self.from.read_exact(&mut bytes);
                read.map_err(|e| Error::io(self.path, "reading it", &e))?;
                let values = Array::new(DType::of(Kind::Float, 4), vec![count], bytes)?;
                group = group.with(*quantity, given(values)?);
            }
            data.extend((count > 0).then_some(group));
        }
        let (dataset, iteration) = (options.dataset.clone(), options.iteration);
        Ok(Some(Update { timestamp, iteration, dataset, origin: None, data }))
    }
}
