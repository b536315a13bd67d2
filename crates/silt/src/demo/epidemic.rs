//! An epidemic on a contact network: what `silt demo` simulates.
//!
//! People live in six towns, meet their neighbours, and some of them work far from home. A lockdown
//! cuts the long contacts for five weeks: the first wave breaks, and the second comes after it.
//! Only `+ - * /` and rounding are used, so that a seed gives the same bits on every machine.

use std::collections::VecDeque;
use std::ops::Range;

use super::random::Random;

/// State of a person: never infected, or immune no longer.
pub(crate) const SUSCEPTIBLE: i32 = 0;
/// State of a person: infected, infects nobody yet.
pub(crate) const EXPOSED: i32 = 1;
/// State of a person: infects others.
pub(crate) const INFECTIOUS: i32 = 2;
/// State of a person: immune for the time being.
pub(crate) const RECOVERED: i32 = 3;

/// The days of the lockdown: the long contacts do not happen.
pub(crate) const LOCKDOWN: Range<u32> = 31..68;

/// Outside of a lockdown a traveller brings the infection home every so many days.
const TRAVELLER_DAYS: u32 = 12;
/// How likely a day's contact with a person at [`PEAK_LOAD`] infects.
const INFECTION_CHANCE: f64 = 0.115;
/// The highest viral load, log10 of copies per ml.
const PEAK_LOAD: f64 = 9.5;
/// Contacts to the nearest neighbours that each person brings in.
const NEIGHBOURS: usize = 3;
/// Contacts to other places of the same town that each person of working age brings in.
const COLLEAGUES: usize = 2;
/// Contacts in another town that each commuter brings in.
const COMMUTER_CONTACTS: usize = 3;
/// How many of those of working age commute.
const COMMUTERS: f64 = 0.08;
/// The ages that work.
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

/// The people, one entry a person, as they are on the current day.
///
/// - `id`: 0, 1, 2, ...
/// - `x`, `y`: km on a plane of about 100 by 50.
/// - `age`: years, 0 to 99.
/// - `town`: its name.
/// - `state`: [`SUSCEPTIBLE`], [`EXPOSED`], [`INFECTIOUS`] or [`RECOVERED`].
/// - `load`: viral load, log10 of copies per ml in steps of 0.01, 0 to 9.5; 0 without infection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct People {
    pub(crate) id: Vec<i64>,
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
    pub(crate) age: Vec<i32>,
    pub(crate) town: Vec<&'static str>,
    pub(crate) state: Vec<i32>,
    pub(crate) load: Vec<f64>,
}

/// Who meets whom: person `i` meets `data[row_ptr[i]..row_ptr[i + 1]]`, ids in rising order.
///
/// Each contact stands with both persons; nobody meets themselves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contacts {
    pub(crate) data: Vec<i64>,
    pub(crate) row_ptr: Vec<i64>,
    /// Beside `data`: whether the two are near neighbours, who meet in a lockdown too.
    near: Vec<bool>,
}

/// What one day changed, one entry a person, ids in rising order; columns as in [`People`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Changes {
    pub(crate) ids: Vec<i64>,
    pub(crate) state: Vec<i32>,
    pub(crate) load: Vec<f64>,
}

/// The towns' figures of the current day, one entry a town.
///
/// - `id`: go on after those of the people, since an id is unique in a dataset.
/// - `susceptible`, `exposed`, `infectious`, `recovered`: people of the town in each state.
/// - `incidence`: new infections of the last seven days per 1,000 people.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Towns {
    pub(crate) id: Vec<i64>,
    pub(crate) name: Vec<&'static str>,
    pub(crate) susceptible: Vec<i32>,
    pub(crate) exposed: Vec<i32>,
    pub(crate) infectious: Vec<i32>,
    pub(crate) recovered: Vec<i32>,
    pub(crate) incidence: Vec<f64>,
}

/// The days on which one infection turns, and how high its load rises.
#[derive(Debug, Clone, Copy, Default)]
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

/// An epidemic, day by day.
///
/// The same number of people and the same seed give the same epidemic.
pub(crate) struct Epidemic {
    people: People,
    contacts: Contacts,
    /// Index into [`TOWNS`], one entry a person.
    town: Vec<usize>,
    /// The last infection of each person.
    course: Vec<Course>,
    /// New infections of the last seven days, newest last, each an entry a town.
    new_cases: VecDeque<[u32; TOWNS.len()]>,
    random: Random,
    day: u32,
}

impl Epidemic {
    /// Day 0: everybody is susceptible but for a few exposed in the first town.
    pub(crate) fn new(people: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let (people, town) = populate(people, &mut random);
        let contacts = connect(&people, &town, &mut random);
        let course = vec![Course::default(); town.len()];
        let new_cases = VecDeque::new();
        let mut epidemic = Epidemic { people, contacts, town, course, new_cases, random, day: 0 };
        let first_town: Vec<usize> =
            (0..epidemic.town.len()).filter(|i| epidemic.town[*i] == 0).collect();
        for _ in 0..epidemic.town.len().div_ceil(500) {
            if let Some(person) = first_town.get(epidemic.random.below(first_town.len())) {
                epidemic.infect(*person);
            }
        }
        epidemic
    }

    /// The days since the beginning.
    pub(crate) fn day(&self) -> u32 {
        self.day
    }

    /// The people as they are now; the initial data before the first step.
    pub(crate) fn people(&self) -> &People {
        &self.people
    }

    /// The contacts, which never change.
    pub(crate) fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    /// How many are susceptible, exposed, infectious and recovered, in this order.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        self.people.state.iter().for_each(|state| counts[*state as usize] += 1);
        counts
    }

    /// The towns' figures of the current day.
    pub(crate) fn towns(&self) -> Towns {
        let mut counts = [[0i32; 4]; TOWNS.len()];
        for (town, state) in self.town.iter().zip(&self.people.state) {
            counts[*town][*state as usize] += 1;
        }
        let column = |state: i32| counts.iter().map(|town| town[state as usize]).collect();
        let incidence = |(town, counts): (usize, &[i32; 4])| {
            let cases: u32 = self.new_cases.iter().map(|day| day[town]).sum();
            f64::from(cases) * 1000.0 / f64::from(counts.iter().sum::<i32>().max(1))
        };
        let first_id = self.people.id.len() as i64;
        Towns {
            id: (first_id..).take(TOWNS.len()).collect(),
            name: TOWNS.iter().map(|town| town.0).collect(),
            susceptible: column(SUSCEPTIBLE),
            exposed: column(EXPOSED),
            infectious: column(INFECTIOUS),
            recovered: column(RECOVERED),
            incidence: counts.iter().enumerate().map(incidence).collect(),
        }
    }

    /// Where a map writes the towns' names: above each town.
    pub(crate) fn town_names(&self) -> Vec<(f64, f64, &'static str)> {
        TOWNS.iter().map(|(name, [x, y], radius, _)| (*x, y + radius * 0.95, *name)).collect()
    }

    /// Lives through one day and says what it changed.
    pub(crate) fn step(&mut self) -> Changes {
        self.day += 1;
        if self.new_cases.len() >= 7 {
            self.new_cases.pop_front();
        }
        self.new_cases.push_back([0; TOWNS.len()]);
        let before = self.people.state.clone();
        self.turn();
        self.spread();
        let mut changes = Changes::default();
        for (person, before) in before.into_iter().enumerate() {
            let (load, state) = (self.course[person].load(self.day), self.people.state[person]);
            if load != self.people.load[person] || state != before {
                self.people.load[person] = load;
                changes.ids.push(self.people.id[person]);
                changes.state.push(state);
                changes.load.push(load);
            }
        }
        changes
    }

    /// Lets each infection take its course, and immunity wane.
    fn turn(&mut self) {
        for (state, course) in self.people.state.iter_mut().zip(&self.course) {
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
        for person in 0..self.people.id.len() {
            if self.people.state[person] != INFECTIOUS {
                continue;
            }
            let chance = INFECTION_CHANCE * self.course[person].load(self.day) / PEAK_LOAD;
            let slots = self.contacts.row_ptr[person]..self.contacts.row_ptr[person + 1];
            for slot in slots.start as usize..slots.end as usize {
                let other = self.contacts.data[slot] as usize;
                let meets = self.contacts.near[slot] || !lockdown;
                let open = meets && self.people.state[other] == SUSCEPTIBLE;
                if open && self.random.unit() < chance {
                    self.infect(other);
                }
            }
        }
        if !lockdown && self.day.is_multiple_of(TRAVELLER_DAYS) {
            let traveller = self.random.below(self.people.id.len());
            if self.people.state.get(traveller) == Some(&SUSCEPTIBLE) {
                self.infect(traveller);
            }
        }
    }

    /// Exposes a person today and draws the course of the infection.
    fn infect(&mut self, person: usize) {
        let infectious = self.day + self.random.within(2..5);
        let recovered = infectious + self.random.within(5..11);
        let susceptible = recovered + self.random.within(60..200);
        // The old shed more: up to a quarter.
        let age = f64::from(self.people.age[person]) / 100.0;
        let peak = PEAK_LOAD * (0.6 + 0.25 * age + 0.15 * self.random.unit());
        self.course[person] =
            Course { exposed: self.day, infectious, recovered, susceptible, peak };
        self.people.state[person] = EXPOSED;
        if let Some(today) = self.new_cases.back_mut() {
            today[self.town[person]] += 1;
        }
    }
}

/// Places `n` people in and around the towns; also returns each one's index into [`TOWNS`].
fn populate(n: usize, random: &mut Random) -> (People, Vec<usize>) {
    let town: Vec<usize> = (0..n).map(|_| random.choose(&TOWNS.map(|town| town.3))).collect();
    let mut people = People {
        id: (0..n as i64).collect(),
        x: Vec::with_capacity(n),
        y: Vec::with_capacity(n),
        age: Vec::with_capacity(n),
        town: town.iter().map(|town| TOWNS[*town].0).collect(),
        state: vec![SUSCEPTIBLE; n],
        load: vec![0.0; n],
    };
    for town in &town {
        let (_, [x, y], radius, _) = TOWNS[*town];
        // One in twelve lives out in the country.
        let spread = if random.below(12) == 0 { radius * 1.4 } else { radius * 0.8 };
        people.x.push(x + spread * random.bell());
        people.y.push(y + spread * random.bell());
        // As many of each age up to 60, then fewer and fewer.
        let age = 60.0 * random.unit() + 40.0 * random.unit() * random.unit();
        people.age.push(age as i32);
    }
    (people, town)
}

/// Draws the contact network.
fn connect(people: &People, town: &[usize], random: &mut Random) -> Contacts {
    let mut members = vec![Vec::new(); TOWNS.len()];
    for (person, town) in town.iter().enumerate() {
        members[*town].push(person);
    }
    let mut met: Vec<Vec<(usize, bool)>> = vec![Vec::new(); town.len()];
    let mut meet = |a: usize, b: usize, near: bool| {
        if a != b {
            met[a].push((b, near));
            met[b].push((a, near));
        }
    };
    for members in &members {
        near_pairs(people, members).into_iter().for_each(|(a, b)| meet(a, b, true));
    }
    for person in (0..town.len()).filter(|person| WORKING_AGE.contains(&people.age[*person])) {
        let home = &members[town[person]];
        for _ in 0..COLLEAGUES {
            meet(person, home[random.below(home.len())], false);
        }
        if random.unit() < COMMUTERS {
            let away = &members[workplace(town[person], random)];
            for _ in 0..COMMUTER_CONTACTS.min(away.len()) {
                meet(person, away[random.below(away.len())], false);
            }
        }
    }
    let mut contacts = Contacts { data: Vec::new(), row_ptr: vec![0], near: Vec::new() };
    for mut others in met {
        // The near one first, so that it is the one that stays of two to the same person.
        others.sort_unstable_by_key(|(other, near)| (*other, !near));
        others.dedup_by_key(|(other, _)| *other);
        contacts.data.extend(others.iter().map(|(other, _)| *other as i64));
        contacts.near.extend(others.iter().map(|(_, near)| *near));
        contacts.row_ptr.push(contacts.data.len() as i64);
    }
    contacts
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
fn near_pairs(people: &People, members: &[usize]) -> Vec<(usize, usize)> {
    let mut by_x = members.to_vec();
    by_x.sort_unstable_by(|a, b| people.x[*a].total_cmp(&people.x[*b]));
    let mut pairs = Vec::with_capacity(members.len() * NEIGHBOURS);
    for (index, &person) in by_x.iter().enumerate() {
        let mut nearest: Vec<(f64, usize)> = Vec::with_capacity(NEIGHBOURS + 1);
        let (mut left, mut right) = (index, index + 1);
        // Outward along x, the closer side first, until x alone is too far.
        loop {
            let gap = |at: Option<&usize>| at.map(|at| (people.x[*at] - people.x[person]).abs());
            let on_left = gap(left.checked_sub(1).and_then(|at| by_x.get(at)));
            let on_right = gap(by_x.get(right));
            let go_left = match (on_left, on_right) {
                (None, None) => break,
                (Some(left), Some(right)) => left <= right,
                (left, _) => left.is_some(),
            };
            let (dx, other) = if go_left {
                left -= 1;
                (on_left, by_x[left])
            } else {
                right += 1;
                (on_right, by_x[right - 1])
            };
            let (dx, dy) = (dx.unwrap_or(0.0), people.y[other] - people.y[person]);
            if nearest.len() == NEIGHBOURS && nearest.last().is_some_and(|far| dx * dx > far.0) {
                break;
            }
            nearest.push((dx * dx + dy * dy, other));
            nearest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            nearest.truncate(NEIGHBOURS);
        }
        pairs.extend(nearest.into_iter().map(|(_, other)| (person, other)));
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn infectious_by_day(people: usize, seed: u64, days: usize) -> Vec<usize> {
        let mut epidemic = Epidemic::new(people, seed);
        (0..days).map(|_| (epidemic.step(), epidemic.counts()[2]).1).collect()
    }

    /// Goal: the picture has two waves whatever the seed, one on each side of the lockdown.
    #[test]
    fn each_seed_shows_two_waves() {
        for seed in 0..8 {
            let infectious = infectious_by_day(4000, seed, 180);
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
            let changes: Vec<Changes> = (0..60).map(|_| epidemic.step()).collect();
            (epidemic.people.clone(), changes)
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let mut epidemic = Epidemic::new(4000, 1);
        (0..60).for_each(|_| drop(epidemic.step()));
        assert_eq!(epidemic.counts(), [2767, 13, 52, 1168]);
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
        let mut copy = epidemic.people().clone();
        for _ in 0..120 {
            let changes = epidemic.step();
            assert!(changes.ids.windows(2).all(|pair| pair[0] < pair[1]));
            for ((id, state), load) in changes.ids.iter().zip(&changes.state).zip(&changes.load) {
                let person = *id as usize;
                assert_ne!((copy.state[person], copy.load[person]), (*state, *load));
                (copy.state[person], copy.load[person]) = (*state, *load);
            }
            assert_eq!(&copy, epidemic.people());
        }
    }

    /// Goal: contacts stand with both persons, sorted, once, and link to the nearest.
    #[test]
    fn contacts_go_both_ways() {
        let epidemic = Epidemic::new(600, 1);
        let (people, contacts) = (epidemic.people(), epidemic.contacts());
        assert_eq!(contacts.row_ptr.len(), 601);
        let of = |i: usize| contacts.row_ptr[i] as usize..contacts.row_ptr[i + 1] as usize;
        for person in 0..600 {
            let others = &contacts.data[of(person)];
            assert!(others.windows(2).all(|pair| pair[0] < pair[1]));
            for other in others {
                assert_ne!(*other, person as i64);
                assert!(contacts.data[of(*other as usize)].contains(&(person as i64)));
            }
            let distance = |i: &usize| {
                (people.x[*i] - people.x[person]).powi(2)
                    + (people.y[*i] - people.y[person]).powi(2)
            };
            let same = (0..600).filter(|i| *i != person && people.town[*i] == people.town[person]);
            let nearest = same.min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
            let slot = of(person).find(|slot| contacts.data[*slot] == nearest as i64);
            assert!(contacts.near[slot.expect("the nearest is a contact")]);
        }
    }

    /// Goal: in a lockdown nobody is infected over a long contact.
    #[test]
    fn a_lockdown_cuts_the_long_contacts() {
        let mut epidemic = Epidemic::new(1000, 5);
        let mut cut_days = 0;
        while epidemic.day() + 1 < LOCKDOWN.end {
            let changes = epidemic.step();
            if !LOCKDOWN.contains(&epidemic.day()) {
                continue;
            }
            cut_days += 1;
            let (contacts, people) = (epidemic.contacts(), epidemic.people());
            for (id, _) in changes.ids.iter().zip(&changes.state).filter(|(_, s)| **s == EXPOSED) {
                let person = *id as usize;
                if epidemic.course[person].exposed != epidemic.day() {
                    continue;
                }
                let slots =
                    contacts.row_ptr[person] as usize..contacts.row_ptr[person + 1] as usize;
                let source = slots.into_iter().find(|slot| {
                    let other = contacts.data[*slot] as usize;
                    contacts.near[*slot] && people.state[other] == INFECTIOUS
                });
                assert!(source.is_some(), "day {}: person {person}", epidemic.day());
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
            let sums = [&towns.susceptible, &towns.exposed, &towns.infectious, &towns.recovered]
                .map(|column| column.iter().sum::<i32>() as usize);
            assert_eq!(sums, epidemic.counts());
            assert_eq!(towns.id[0], 700);
        }
        assert!(epidemic.towns().incidence.iter().any(|per_1000| *per_1000 > 1.0));
    }

    /// Goal: no number of people is too small.
    #[test]
    fn few_people_are_no_trouble() {
        for people in 0..9 {
            let mut epidemic = Epidemic::new(people, 11);
            (0..30).for_each(|_| drop(epidemic.step()));
            assert_eq!(epidemic.counts().iter().sum::<usize>(), people);
            assert_eq!(epidemic.contacts().row_ptr.len(), people + 1);
            assert_eq!(epidemic.towns().id.len(), epidemic.town_names().len());
        }
    }
}
