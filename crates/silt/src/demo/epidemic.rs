//! An epidemic on a contact network: what `silt demo` simulates.
//!
//! People live in six towns, meet their neighbours, and some of them work far from home. A lockdown
//! cuts the long contacts for five weeks: the first wave breaks, and the second comes after it.
//! Only `+ - * /` and rounding are used, so that a seed gives the same bits on every machine.

use std::collections::VecDeque;
use std::ops::Range;

use siltstone::Array;
use siltstone::simulation::{Attribute, Group};

use super::random::Random;

// The states of a person, by which they are drawn and counted.
const SUSCEPTIBLE: i32 = 0;
const EXPOSED: i32 = 1;
const INFECTIOUS: i32 = 2;
const RECOVERED: i32 = 3;

/// The days of the lockdown: the long contacts do not happen.
pub(super) const LOCKDOWN: Range<u32> = 31..68;
/// Outside of a lockdown a traveller brings the infection home every so many days.
const TRAVELLER_DAYS: u32 = 12;
/// How likely a day's contact with a person at [`PEAK_LOAD`] infects.
const INFECTION_CHANCE: f64 = 0.115;
/// The highest viral load, log10 of copies per ml.
const PEAK_LOAD: f64 = 9.5;
/// Contacts that each person brings in: the nearest neighbours; for those of working age some in the same town, and for
/// commuters some in another one.
const NEIGHBOURS: usize = 3;
const COLLEAGUES: usize = 2;
const COMMUTER_CONTACTS: usize = 3;
const COMMUTERS: f64 = 0.08;
const WORKING_AGE: Range<i32> = 18..67;

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
    /// Viral load, log10 of copies per ml in steps of 0.01; 0 without infection.
    load: f64,
    /// The last infection.
    course: Course,
    /// Whom they meet, by index, and whether it is a near neighbour, whom they meet in a lockdown too.
    contacts: Vec<(usize, bool)>,
}

/// The days on which an infection turns, and how high its load rises.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Course {
    exposed: u32,
    infectious: u32,
    recovered: u32,
    susceptible: u32,
    peak: f64,
}

impl Course {
    /// The load on `day`: it rises until two days after the person turns infectious, then falls.
    fn load(&self, day: u32) -> f64 {
        let top = self.infectious + 2;
        let share = match day {
            day if day <= self.exposed || day >= self.recovered => 0.0,
            day if day <= top => f64::from(day - self.exposed) / f64::from(top - self.exposed),
            day => f64::from(self.recovered - day) / f64::from(self.recovered - top),
        };
        (share * self.peak * 100.0).round() / 100.0
    }
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
        let people = populate(people, &mut random);
        let mut epidemic = Epidemic { people, new_cases: VecDeque::new(), random, day: 0 };
        let people = &epidemic.people;
        let first: Vec<usize> = (0..people.len()).filter(|i| people[*i].town == 0).collect();
        for _ in 0..epidemic.people.len().div_ceil(500) {
            if let Some(person) = first.get(epidemic.random.below(first.len())) {
                epidemic.infect(*person);
            }
        }
        epidemic
    }

    /// The days since the beginning.
    pub(super) fn day(&self) -> u32 {
        self.day
    }

    /// Everybody and every town before the first day.
    pub(super) fn initial(&self) -> Vec<Group> {
        let of = |number: fn(&Person) -> f64| self.people.iter().map(number).collect::<Vec<_>>();
        let mut row_ptr = vec![0_i64];
        row_ptr.extend(self.people.iter().scan(0, |sum, person| {
            *sum += person.contacts.len() as i64;
            Some(*sum)
        }));
        let contacts = self.people.iter().flat_map(|person| &person.contacts);
        let contacts: Vec<i64> = contacts.map(|(other, _)| *other as i64).collect();
        let towns: Vec<&str> = self.people.iter().map(|person| TOWNS[person.town].0).collect();
        let people = Group::new("people")
            .with("id", (0..self.people.len() as i64).collect::<Vec<_>>())
            .with("x", of(|person| person.at[0]))
            .with("y", of(|person| person.at[1]))
            .with("age", self.people.iter().map(|person| person.age).collect::<Vec<_>>())
            .with("town", &towns[..])
            .with("contacts", Attribute::ragged(Array::from(contacts), Array::from(row_ptr)))
            .with("state", self.people.iter().map(|person| person.state).collect::<Vec<_>>())
            .with("load", of(|person| person.load));
        // The names stand above the towns.
        let towns = self
            .towns()
            .with("name", TOWNS.map(|town| town.0))
            .with("label_x", TOWNS.map(|town| town.1[0]))
            .with("label_y", TOWNS.map(|town| town.1[1] + town.2 * 0.95));
        vec![people, towns]
    }

    /// The towns' figures of the current day; their ids go on after those of the people. `incidence` is the new
    /// infections of the last seven days per 1,000 people.
    pub(super) fn towns(&self) -> Group {
        let mut counts = [[0_i32; TOWNS.len()]; 4];
        self.people.iter().for_each(|person| counts[person.state as usize][person.town] += 1);
        let incidence = |town: usize| {
            let cases: u32 = self.new_cases.iter().map(|day| day[town]).sum();
            let people: i32 = counts.iter().map(|state| state[town]).sum();
            f64::from(cases) * 1000.0 / f64::from(people.max(1))
        };
        let first = self.people.len() as i64;
        Group::new("towns")
            .with("id", (first..).take(TOWNS.len()).collect::<Vec<_>>())
            .with("susceptible", counts[0])
            .with("exposed", counts[1])
            .with("infectious", counts[2])
            .with("recovered", counts[3])
            .with("incidence", (0..TOWNS.len()).map(incidence).collect::<Vec<_>>())
    }

    /// Lives through one day: the people whom it changed, their ids in rising order.
    pub(super) fn step(&mut self) -> Group {
        self.day += 1;
        if self.new_cases.len() >= 7 {
            self.new_cases.pop_front();
        }
        self.new_cases.push_back([0; TOWNS.len()]);
        let before: Vec<i32> = self.people.iter().map(|person| person.state).collect();
        self.turn();
        self.spread();
        let (mut ids, mut states, mut loads) = (Vec::new(), Vec::new(), Vec::new());
        for (id, (person, before)) in self.people.iter_mut().zip(before).enumerate() {
            let load = person.course.load(self.day);
            if load != person.load || person.state != before {
                person.load = load;
                ids.push(id as i64);
                states.push(person.state);
                loads.push(load);
            }
        }
        Group::new("people").with("id", ids).with("state", states).with("load", loads)
    }

    /// Lets each infection take its course, and immunity wane.
    fn turn(&mut self) {
        for Person { state, course, .. } in &mut self.people {
            *state = match *state {
                EXPOSED if self.day >= course.infectious => INFECTIOUS,
                INFECTIOUS if self.day >= course.recovered => RECOVERED,
                RECOVERED if self.day >= course.susceptible => SUSCEPTIBLE,
                state => state,
            };
        }
    }

    /// Lets the infectious meet their contacts.
    fn spread(&mut self) {
        let lockdown = LOCKDOWN.contains(&self.day);
        for source in 0..self.people.len() {
            if self.people[source].state != INFECTIOUS {
                continue;
            }
            let chance = INFECTION_CHANCE * self.people[source].course.load(self.day) / PEAK_LOAD;
            for contact in 0..self.people[source].contacts.len() {
                let (other, near) = self.people[source].contacts[contact];
                let open = (near || !lockdown) && self.people[other].state == SUSCEPTIBLE;
                if open && self.random.unit() < chance {
                    self.infect(other);
                }
            }
        }
        if !lockdown && self.day.is_multiple_of(TRAVELLER_DAYS) {
            let traveller = self.random.below(self.people.len());
            if self.people.get(traveller).is_some_and(|person| person.state == SUSCEPTIBLE) {
                self.infect(traveller);
            }
        }
    }

    /// Exposes a person today and draws the course of the infection.
    fn infect(&mut self, person: usize) {
        let infectious = self.day + self.random.within(2..5);
        let recovered = infectious + self.random.within(5..11);
        let susceptible = recovered + self.random.within(60..200);
        let person = &mut self.people[person];
        // The old shed more: up to a quarter.
        let age = f64::from(person.age) / 100.0;
        let peak = PEAK_LOAD * (0.6 + 0.25 * age + 0.15 * self.random.unit());
        person.course = Course { exposed: self.day, infectious, recovered, susceptible, peak };
        person.state = EXPOSED;
        if let Some(today) = self.new_cases.back_mut() {
            today[person.town] += 1;
        }
    }
}

/// Places `n` people in and around the towns, and draws whom they meet.
fn populate(n: usize, random: &mut Random) -> Vec<Person> {
    let towns: Vec<usize> = (0..n).map(|_| random.choose(&TOWNS.map(|town| town.3))).collect();
    let mut people = Vec::with_capacity(n);
    for town in towns {
        let (_, [x, y], radius, _) = TOWNS[town];
        // One in twelve lives out in the country.
        let spread = if random.below(12) == 0 { radius * 1.4 } else { radius * 0.8 };
        let at = [x + spread * random.bell(), y + spread * random.bell()];
        // As many of each age up to 60, then fewer and fewer.
        let age = 60.0 * random.unit() + 40.0 * random.unit() * random.unit();
        let (age, course, contacts) = (age as i32, Course::default(), Vec::new());
        people.push(Person { at, age, town, state: SUSCEPTIBLE, load: 0.0, course, contacts });
    }
    let members: Vec<Vec<usize>> = (0..TOWNS.len())
        .map(|town| (0..n).filter(|person| people[*person].town == town).collect())
        .collect();
    let mut met: Vec<(usize, usize, bool)> = Vec::new();
    for members in &members {
        met.extend(neighbours(&people, members).into_iter().map(|(a, b)| (a, b, true)));
    }
    for person in (0..n).filter(|person| WORKING_AGE.contains(&people[*person].age)) {
        let home = &members[people[person].town];
        let mut meet = |random: &mut Random, others: &[usize]| {
            met.push((person, others[random.below(others.len())], false));
        };
        (0..COLLEAGUES).for_each(|_| meet(random, home));
        if random.unit() < COMMUTERS {
            let away = &members[workplace(people[person].town, random)];
            (0..COMMUTER_CONTACTS.min(away.len())).for_each(|_| meet(random, away));
        }
    }
    for (a, b, near) in met.into_iter().filter(|(a, b, _)| a != b) {
        people[a].contacts.push((b, near));
        people[b].contacts.push((a, near));
    }
    for Person { contacts, .. } in &mut people {
        // The near one first, so that it is the one that stays of two to the same person.
        contacts.sort_unstable_by_key(|(other, near)| (*other, !near));
        contacts.dedup_by_key(|(other, _)| *other);
    }
    people
}

/// Another town than `home`: large ones and close ones more often (gravity).
fn workplace(home: usize, random: &mut Random) -> usize {
    let [x, y] = TOWNS[home].1;
    let pull = TOWNS.map(|(_, [to_x, to_y], _, share)| {
        let distance2 = (to_x - x) * (to_x - x) + (to_y - y) * (to_y - y);
        if distance2 > 0.0 { share / distance2 } else { 0.0 }
    });
    random.choose(&pull)
}

/// Each of `members` with its [`NEIGHBOURS`] nearest.
fn neighbours(people: &[Person], members: &[usize]) -> Vec<(usize, usize)> {
    let mut by_x = members.to_vec();
    by_x.sort_unstable_by(|a, b| people[*a].at[0].total_cmp(&people[*b].at[0]));
    let mut pairs = Vec::with_capacity(members.len() * NEIGHBOURS);
    for (index, &person) in by_x.iter().enumerate() {
        let mut nearest: Vec<(f64, usize)> = Vec::with_capacity(NEIGHBOURS + 1);
        // To the left and to the right, until x alone is too far.
        let (mut left, mut right) = (by_x[..index].iter().rev(), by_x[index + 1..].iter());
        for side in [&mut left as &mut dyn Iterator<Item = &usize>, &mut right] {
            for &other in side {
                let [dx, dy] = [0, 1].map(|i| people[other].at[i] - people[person].at[i]);
                if nearest.len() == NEIGHBOURS && dx * dx > nearest[NEIGHBOURS - 1].0 {
                    break;
                }
                nearest.push((dx * dx + dy * dy, other));
                nearest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                nearest.truncate(NEIGHBOURS);
            }
        }
        pairs.extend(nearest.into_iter().map(|(_, other)| (person, other)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are susceptible, exposed, infectious and recovered.
    fn counts(epidemic: &Epidemic) -> [usize; 4] {
        let mut counts = [0; 4];
        epidemic.people.iter().for_each(|person| counts[person.state as usize] += 1);
        counts
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
        assert_eq!(counts(&epidemic), [2767, 13, 52, 1168]);
    }

    /// Goal: a load rises from 0 to its peak and falls to 0 again, in hundredths.
    #[test]
    fn a_load_rises_and_falls() {
        let course =
            Course { exposed: 10, infectious: 13, recovered: 20, susceptible: 90, peak: 7.123 };
        let loads: Vec<f64> = (9..22).map(|day| course.load(day)).collect();
        let expected = [0.0, 0.0, 1.42, 2.85, 4.27, 5.7, 7.12, 5.7, 4.27, 2.85, 1.42, 0.0, 0.0];
        assert_eq!(loads, expected);
    }

    /// Goal: the changes, applied to the initial columns, give the current ones, and none is idle.
    #[test]
    fn changes_are_exactly_what_changed() {
        let mut epidemic = Epidemic::new(800, 3);
        let now = |epidemic: &Epidemic| -> Vec<(i32, f64)> {
            epidemic.people.iter().map(|person| (person.state, person.load)).collect()
        };
        let mut copy = now(&epidemic);
        for _ in 0..120 {
            let changes = epidemic.step();
            let ids: Vec<i64> = numbers(&changes, "id");
            assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
            let states: Vec<i32> = numbers(&changes, "state");
            let loads: Vec<f64> = numbers(&changes, "load");
            for (id, change) in ids.into_iter().zip(states.into_iter().zip(loads)) {
                assert_ne!(copy[id as usize], change);
                copy[id as usize] = change;
            }
            assert_eq!(copy, now(&epidemic));
        }
    }

    /// Goal: contacts stand with both persons, sorted, once, and link to the nearest.
    #[test]
    fn contacts_go_both_ways() {
        let epidemic = Epidemic::new(600, 1);
        let people = &epidemic.people;
        for (i, person) in people.iter().enumerate() {
            assert!(person.contacts.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (other, near) in &person.contacts {
                assert!(*other != i && people[*other].contacts.contains(&(i, *near)));
            }
            let distance = |other: &usize| {
                let [dx, dy] = [0, 1].map(|axis| people[*other].at[axis] - person.at[axis]);
                dx * dx + dy * dy
            };
            let same = (0..600).filter(|other| *other != i && people[*other].town == person.town);
            let nearest = same.min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
            assert!(person.contacts.contains(&(nearest, true)), "the nearest is a contact");
        }
        let people = &epidemic.initial()[0];
        let (_, contacts) = people.attributes.iter().find(|(name, _)| name == "contacts").unwrap();
        assert_eq!(contacts.entities(), 600);
    }

    /// Goal: in a lockdown nobody is infected over a long contact.
    #[test]
    fn a_lockdown_cuts_the_long_contacts() {
        let mut epidemic = Epidemic::new(1000, 5);
        let mut cut_days = 0;
        while epidemic.day + 1 < LOCKDOWN.end {
            epidemic.step();
            if !LOCKDOWN.contains(&epidemic.day) {
                continue;
            }
            cut_days += 1;
            let people = &epidemic.people;
            let is_new =
                |person: &&Person| person.state == EXPOSED && person.course.exposed == epidemic.day;
            for person in people.iter().filter(is_new) {
                let infects =
                    |(other, near): &(usize, bool)| *near && people[*other].state == INFECTIOUS;
                assert!(person.contacts.iter().any(infects), "day {}: {person:?}", epidemic.day);
            }
        }
        assert_eq!(cut_days, LOCKDOWN.len());
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
