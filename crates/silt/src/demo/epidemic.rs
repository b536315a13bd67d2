//! An epidemic in six towns: what `silt demo` simulates.
//!
//! People are infected in their own town, and on journeys to the others. A lockdown of five weeks stops the journeys: the
//! first wave breaks, and the second comes after it.
//! Only `+ - * /` are used, so that a seed gives the same bits on every machine.

use std::collections::VecDeque;
use std::ops::Range;

use siltstone::simulation::Group;

use super::random::Random;

// The states of a person, by which they are drawn and counted.
pub(super) const STATES: [&str; 4] = ["susceptible", "exposed", "infectious", "recovered"];
const SUSCEPTIBLE: i32 = 0;
const EXPOSED: i32 = 1;
const INFECTIOUS: i32 = 2;
const RECOVERED: i32 = 3;

/// The days of the lockdown.
pub(super) const LOCKDOWN: Range<u32> = 31..68;
/// How likely somebody is infected in a day if all in their town are infectious, and how much of that is left in a lockdown.
const IN_TOWN: f64 = 0.30;
const IN_LOCKDOWN: f64 = 0.35;
/// The same if all in all towns are: the journeys.
const ON_JOURNEYS: f64 = 0.05;
/// Outside of a lockdown somebody brings the infection home every so many days.
const TRAVELLER_DAYS: u32 = 12;

/// Name, centre in km, radius in km, share of the people.
const TOWNS: [(&str, [f64; 2], f64, f64); 6] = [
    ("Siltmouth", [20.0, 15.0], 12.0, 0.27),
    ("Claybourne", [55.0, 32.0], 10.5, 0.21),
    ("Marlhaven", [84.0, 13.0], 9.5, 0.17),
    ("Gritstow", [23.0, 39.0], 8.0, 0.13),
    ("Loamford", [52.0, 9.0], 7.5, 0.12),
    ("Chalkness", [86.0, 39.0], 7.0, 0.10),
];

/// A person as they are on the current day.
#[derive(Debug, Clone, PartialEq)]
struct Person {
    /// In km, on a plane of about 100 by 50.
    at: [f64; 2],
    age: i32,
    /// Index into [`TOWNS`].
    town: usize,
    state: i32,
    /// The day on which the state turns.
    turns: u32,
}

/// An epidemic, day by day. The same number of people and the same seed give the same one.
pub(super) struct Epidemic {
    people: Vec<Person>,
    /// New infections of the last seven days, newest last, each an entry a town.
    new_cases: VecDeque<[u32; TOWNS.len()]>,
    random: Random,
    day: u32,
}

impl Epidemic {
    /// Day 0: everybody is susceptible but for a few exposed in the first town.
    pub(super) fn new(people: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let people: Vec<Person> = (0..people).map(|_| person(&mut random)).collect();
        let mut epidemic = Epidemic { people, new_cases: VecDeque::new(), random, day: 0 };
        let all = 0..epidemic.people.len();
        let in_first = all.filter(|id| epidemic.people[*id].town == 0);
        let first: Vec<usize> = in_first.take(epidemic.people.len().div_ceil(500)).collect();
        first.into_iter().for_each(|id| epidemic.infect(id));
        epidemic
    }

    /// The days since the beginning.
    pub(super) fn day(&self) -> u32 {
        self.day
    }

    /// Everybody and every town before the first day.
    pub(super) fn initial(&self) -> Vec<Group> {
        let towns: Vec<&str> = self.people.iter().map(|person| TOWNS[person.town].0).collect();
        let people = Group::new("people")
            .with("id", (0..self.people.len() as i64).collect::<Vec<_>>())
            .with("x", self.people.iter().map(|person| person.at[0]).collect::<Vec<_>>())
            .with("y", self.people.iter().map(|person| person.at[1]).collect::<Vec<_>>())
            .with("age", self.people.iter().map(|person| person.age).collect::<Vec<_>>())
            .with("town", &towns[..])
            .with("state", self.people.iter().map(|person| person.state).collect::<Vec<_>>());
        // The names stand above the towns.
        let towns = self
            .towns()
            .with("name", TOWNS.map(|town| town.0))
            .with("label_x", TOWNS.map(|town| town.1[0]))
            .with("label_y", TOWNS.map(|town| town.1[1] + town.2 * 0.95));
        vec![people, towns]
    }

    /// How many of each town are in each state.
    fn counts(&self) -> [[i32; TOWNS.len()]; STATES.len()] {
        let mut counts = [[0; TOWNS.len()]; STATES.len()];
        self.people.iter().for_each(|person| counts[person.state as usize][person.town] += 1);
        counts
    }

    /// The towns' figures of the current day; their ids go on after those of the people. `incidence` is the new
    /// infections of the last seven days per 1,000 people.
    pub(super) fn towns(&self) -> Group {
        let counts = self.counts();
        let incidence = |town: usize| {
            let cases: u32 = self.new_cases.iter().map(|day| day[town]).sum();
            let people: i32 = counts.iter().map(|state| state[town]).sum();
            f64::from(cases) * 1000.0 / f64::from(people.max(1))
        };
        let first = self.people.len() as i64;
        let ids = Group::new("towns").with("id", (first..).take(TOWNS.len()).collect::<Vec<_>>());
        let states = STATES.iter().zip(counts);
        let towns = states.fold(ids, |towns, (state, counts)| towns.with(*state, counts));
        towns.with("incidence", (0..TOWNS.len()).map(incidence).collect::<Vec<_>>())
    }

    /// Lives through one day: the people whom it changed, their ids in rising order.
    pub(super) fn step(&mut self) -> Group {
        self.day += 1;
        if self.new_cases.len() >= 7 {
            self.new_cases.pop_front();
        }
        self.new_cases.push_back([0; TOWNS.len()]);
        let before: Vec<i32> = self.people.iter().map(|person| person.state).collect();
        for person in self.people.iter_mut().filter(|person| person.turns <= self.day) {
            let (next, days) = match person.state {
                EXPOSED => (INFECTIOUS, self.random.within(5..11)),
                INFECTIOUS => (RECOVERED, self.random.within(60..200)),
                RECOVERED => (SUSCEPTIBLE, 0), // immunity wanes
                _ => continue,
            };
            (person.state, person.turns) = (next, self.day + days);
        }
        let chances = self.chances();
        for id in 0..self.people.len() {
            let person = &self.people[id];
            if person.state == SUSCEPTIBLE && self.random.unit() < chances[person.town] {
                self.infect(id);
            }
        }
        if !LOCKDOWN.contains(&self.day) && self.day.is_multiple_of(TRAVELLER_DAYS) {
            let traveller = self.random.below(self.people.len());
            if self.people.get(traveller).is_some_and(|person| person.state == SUSCEPTIBLE) {
                self.infect(traveller);
            }
        }
        let changed = self.people.iter().zip(before).enumerate();
        let changed = changed.filter(|(_, (person, before))| person.state != *before);
        let (ids, states): (Vec<i64>, Vec<i32>) =
            changed.map(|(id, (person, _))| (id as i64, person.state)).unzip();
        Group::new("people").with("id", ids).with("state", states)
    }

    /// How likely a susceptible person of each town is infected today.
    fn chances(&self) -> [f64; TOWNS.len()] {
        let counts = self.counts();
        let infectious: i32 = counts[INFECTIOUS as usize].iter().sum();
        let everywhere = f64::from(infectious) / self.people.len().max(1) as f64;
        std::array::from_fn(|town| {
            let people: i32 = counts.iter().map(|state| state[town]).sum();
            let here = f64::from(counts[INFECTIOUS as usize][town]) / f64::from(people.max(1));
            match LOCKDOWN.contains(&self.day) {
                true => IN_TOWN * IN_LOCKDOWN * here,
                false => IN_TOWN * here + ON_JOURNEYS * everywhere,
            }
        })
    }

    /// Exposes a person today.
    fn infect(&mut self, id: usize) {
        let person = &mut self.people[id];
        (person.state, person.turns) = (EXPOSED, self.day + self.random.within(2..5));
        if let Some(today) = self.new_cases.back_mut() {
            today[person.town] += 1;
        }
    }
}

/// Somebody in or around a town.
fn person(random: &mut Random) -> Person {
    let town = random.choose(&TOWNS.map(|town| town.3));
    let (_, [x, y], radius, _) = TOWNS[town];
    // One in twelve lives out in the country.
    let spread = if random.below(12) == 0 { radius * 1.4 } else { radius * 0.8 };
    let at = [x + spread * random.bell(), y + spread * random.bell()];
    // As many of each age up to 60, then fewer and fewer.
    let age = (60.0 * random.unit() + 40.0 * random.unit() * random.unit()) as i32;
    Person { at, age, town, state: SUSCEPTIBLE, turns: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are susceptible, exposed, infectious and recovered.
    fn counts(epidemic: &Epidemic) -> [usize; 4] {
        epidemic.counts().map(|towns| towns.iter().sum::<i32>() as usize)
    }

    fn numbers<T: siltstone::array::Element>(group: &Group, name: &str) -> Vec<T> {
        let (_, attribute) = group.attributes.iter().find(|(other, _)| other == name).unwrap();
        attribute.data.to_vec::<T>().unwrap()
    }

    /// Days on which the smoothed number of infectious people stands at a peak of its own: higher
    /// than 3 percent of all, with a valley below 60 percent of it on both sides.
    fn waves(infectious: &[usize], people: usize) -> Vec<usize> {
        let mut waves = Vec::new();
        let (mut top, mut valley, mut rising) = (0, 0, true);
        for (day, n) in infectious.iter().enumerate() {
            if rising && *n > infectious[top] {
                top = day;
            } else if rising && infectious[top] * 100 > people * 3 && n * 10 < infectious[top] * 6 {
                waves.push(top);
                (rising, valley) = (false, day);
            } else if !rising && *n < infectious[valley] {
                valley = day;
            } else if !rising && n * 6 > infectious[valley] * 10 {
                (rising, top) = (true, day);
            }
        }
        waves
    }

    /// Goal: the picture has two waves whatever the seed, one on each side of the lockdown.
    #[test]
    fn each_seed_shows_two_waves() {
        for seed in 0..8 {
            let mut epidemic = Epidemic::new(4000, seed);
            let infectious: Vec<usize> =
                (0..180).map(|_| (epidemic.step(), counts(&epidemic)[2]).1).collect();
            let waves = waves(&infectious, 4000);
            assert!(waves.len() >= 2, "seed {seed}: peaks on days {waves:?}, {infectious:?}");
            assert!(waves[0] < LOCKDOWN.end as usize, "seed {seed}: peaks on days {waves:?}");
            assert!(waves[1] > LOCKDOWN.end as usize, "seed {seed}: peaks on days {waves:?}");
        }
    }

    /// Goal: a seed gives the same bits on every machine; another seed gives others.
    #[test]
    fn a_seed_always_gives_the_same_epidemic() {
        let run = |seed| {
            let mut epidemic = Epidemic::new(500, seed);
            let changes: Vec<Group> = (0..60).map(|_| epidemic.step()).collect();
            (epidemic.people.clone(), changes)
        };
        assert!(run(7) == run(7));
        assert!(run(7) != run(8));
        let mut epidemic = Epidemic::new(4000, 1);
        (0..60).for_each(|_| drop(epidemic.step()));
        assert_eq!(counts(&epidemic), [2862, 12, 49, 1077]);
    }

    /// Goal: the changes, applied to the initial columns, give the current ones, and none is idle.
    #[test]
    fn changes_are_exactly_what_changed() {
        let mut epidemic = Epidemic::new(800, 3);
        let now = |epidemic: &Epidemic| -> Vec<i32> {
            epidemic.people.iter().map(|person| person.state).collect()
        };
        let mut copy = now(&epidemic);
        for _ in 0..120 {
            let changes = epidemic.step();
            let ids: Vec<i64> = numbers(&changes, "id");
            assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
            let states: Vec<i32> = numbers(&changes, "state");
            for (id, change) in ids.into_iter().zip(states) {
                assert_ne!(copy[id as usize], change);
                copy[id as usize] = change;
            }
            assert_eq!(copy, now(&epidemic));
        }
    }

    /// Goal: in a lockdown the infection goes to no other town.
    #[test]
    fn a_lockdown_stops_the_journeys() {
        let mut epidemic = Epidemic::new(1000, 5);
        for person in &mut epidemic.people {
            person.state = if person.town == 0 { INFECTIOUS } else { SUSCEPTIBLE };
        }
        for day in [LOCKDOWN.start - 1, LOCKDOWN.start, LOCKDOWN.end - 1, LOCKDOWN.end] {
            epidemic.day = day;
            let [home, others @ ..] = epidemic.chances();
            assert!(home > 0.0, "day {day}");
            let is_cut = others.iter().all(|chance| *chance == 0.0);
            assert_eq!(is_cut, LOCKDOWN.contains(&day), "day {day}: {others:?}");
        }
    }

    /// Goal: the towns' figures add up to the people's, and their ids are nobody else's.
    #[test]
    fn towns_add_up() {
        let mut epidemic = Epidemic::new(700, 2);
        for _ in 0..50 {
            epidemic.step();
            let towns = epidemic.towns();
            let sums = ["susceptible", "exposed", "infectious", "recovered"]
                .map(|name| numbers::<i32>(&towns, name).into_iter().sum::<i32>() as usize);
            assert_eq!(sums, counts(&epidemic));
            assert_eq!(numbers::<i64>(&towns, "id")[0], 700);
        }
        assert!(numbers::<f64>(&epidemic.towns(), "incidence").iter().any(|n| *n > 1.0));
    }

    /// Goal: no number of people is too small.
    #[test]
    fn few_people_are_no_trouble() {
        for people in 0..9 {
            let mut epidemic = Epidemic::new(people, 11);
            (0..30).for_each(|_| drop(epidemic.step()));
            assert_eq!(counts(&epidemic).iter().sum::<usize>(), people);
            let initial = epidemic.initial();
            assert_eq!(numbers::<f64>(&initial[0], "x").len(), people);
            assert_eq!(numbers::<f64>(&initial[1], "label_x").len(), TOWNS.len());
        }
    }
}
