//! The public items of the crate, read from its sources: the modules, what they declare and re-export, with fields,
//! variants, methods and traits. Not read: what a macro makes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Attribute, Fields, ImplItem, Item, Path as Name, Signature, TraitItem, Type};
use syn::{UseTree, Visibility};

/// The list as it was agreed on.
const LIST: &str = "docs/public-api.txt";
/// More arguments than this, or items of a tuple, want a struct with names.
const MOST_ARGUMENTS: usize = 4;
/// Calls that movici and the RTX engine document so.
const DOCUMENTED: [&str; 2] = ["SimulationDatabase::store_update", "TickStore::store_tick"];

type Module = Vec<String>;
type Key = (Module, String);

/// The modules of the crate and their items, public or not.
#[derive(Default)]
struct Crate {
    modules: BTreeMap<Module, Vec<Item>>,
    /// What `impl` blocks say of a type: a line each, with `@` for the name of the type.
    impls: BTreeMap<Key, Vec<String>>,
    lines: BTreeSet<String>,
    /// Modules whose documentation has an example.
    with_example: BTreeSet<Module>,
    /// Public modules.
    public: BTreeSet<Module>,
}

/// Attributes, visibility and name of what an item declares.
fn declared(item: &Item) -> Option<(&[Attribute], &Visibility, String)> {
    let (attributes, visibility, name) = match item {
        Item::Const(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Enum(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Fn(item) => (&item.attrs, &item.vis, &item.sig.ident),
        Item::Mod(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Static(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Struct(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Trait(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Type(item) => (&item.attrs, &item.vis, &item.ident),
        _ => return None,
    };
    Some((&attributes[..], visibility, name.to_string()))
}

fn is_named(item: &Item, wanted: &str) -> bool {
    declared(item).is_some_and(|(.., name)| name == wanted)
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Source text on one line, as `rustfmt` puts its spaces.
fn text(tokens: impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string().replace('\n', " ");
    // What to replace, and by what.
    let pairs = [
        " ,", ",", " ;", ";", " (", "(", "( ", "(", " )", ")", " <", "<", "< ", "<", " >", ">",
        " :", ":", ":: ", "::", "& ", "&", " [", "[", "[ ", "[", " ]", "]", "# ", "#", " !", "!",
        ",)", ")", ",>", ">", "->(", "-> (", "->[", "-> [", "=[", "= [", "+(", "+ (", ",(", ", (",
        "dyn(", "dyn (", "mut(", "mut (", "mut[", "mut [", ",[", ", [", ":(", ": (", ":[", ": [",
    ];
    for pair in pairs.chunks(2) {
        text = text.replace(pair[0], pair[1]);
    }
    text
}

/// Derives, conditions and the like, which are of the surface too.
fn attributes_shown(attributes: &[Attribute]) -> String {
    let names = ["derive", "cfg", "non_exhaustive", "must_use"];
    let shown = attributes.iter().filter(|a| names.iter().any(|name| a.path().is_ident(name)));
    shown.map(|attribute| text(attribute) + " ").collect()
}

fn is_test(item: &Item) -> bool {
    let attributes = declared(item).map(|(attributes, ..)| attributes).unwrap_or_default();
    attributes.iter().any(|a| a.path().is_ident("cfg") && text(&a.meta).contains("test"))
}

/// What a `use` names: the name here, and the path.
fn uses(tree: &UseTree, path: &[String], found: &mut Vec<(String, Module)>) {
    let with = |name: String| [path, &[name]].concat();
    match tree {
        UseTree::Path(tree) => uses(&tree.tree, &with(tree.ident.to_string()), found),
        UseTree::Name(tree) if tree.ident == "self" => {
            found.push((path.last().expect("self is of a module").clone(), path.to_vec()));
        }
        UseTree::Name(tree) => found.push((tree.ident.to_string(), with(tree.ident.to_string()))),
        UseTree::Rename(tree) => {
            found.push((tree.rename.to_string(), with(tree.ident.to_string())))
        }
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| uses(tree, path, found)),
        UseTree::Glob(_) => {}
    }
}

impl Crate {
    fn load(&mut self, module: Module, items: Vec<Item>, folder: &Path) {
        let items: Vec<_> = items.into_iter().filter(|item| !is_test(item)).collect();
        for item in &items {
            let Item::Mod(item) = item else { continue };
            let name = item.ident.to_string();
            let inner = folder.join(&name);
            let child = [&module[..], std::slice::from_ref(&name)].concat();
            if let Some((_, items)) = &item.content {
                self.load(child, items.clone(), &inner);
                continue;
            }
            let file = folder.join(format!("{name}.rs"));
            let file = if file.exists() { file } else { inner.join("mod.rs") };
            let source = fs::read_to_string(&file).expect("the file of a module");
            let mut documentation = source.lines().take_while(|line| line.starts_with("//!"));
            if documentation.any(|line| line.starts_with("//! ```")) {
                self.with_example.insert(child.clone());
            }
            self.load(child, syn::parse_file(&source).expect("it compiles").items, &inner);
        }
        self.modules.insert(module, items);
    }

    /// Where a path that is written in a module leads to; `None` if to another crate.
    fn resolve(&self, module: &[String], path: &[String], depth: usize) -> Option<Key> {
        let (last, mut current) = (path.last()?.clone(), module.to_vec());
        for (i, segment) in path.iter().enumerate() {
            let child = [&current[..], std::slice::from_ref(segment)].concat();
            match segment.as_str() {
                "crate" => current = Vec::new(),
                "self" => {}
                "super" => drop(current.pop()),
                _ if self.modules.contains_key(&child) => current = child,
                _ => {
                    let items = &self.modules[&current];
                    if i + 1 == path.len() && items.iter().any(|item| is_named(item, segment)) {
                        return Some((current, last));
                    }
                    let mut named = Vec::new();
                    for item in items {
                        if let Item::Use(item) = item {
                            uses(&item.tree, &[], &mut named);
                        }
                    }
                    // A name that stands for itself is of another crate.
                    let (_, target) = named
                        .into_iter()
                        .find(|(name, target)| name == segment && target[0] != *segment)?;
                    let target = [&target[..], &path[i + 1..]].concat();
                    return if depth < 9 {
                        self.resolve(&current, &target, depth + 1)
                    } else {
                        None
                    };
                }
            }
        }
        Some((current, String::new()))
    }

    fn key(&self, module: &[String], name: &Name) -> Option<Key> {
        let path: Vec<_> = name.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.resolve(module, &path, 0)
    }

    fn item(&self, key: &Key) -> impl Iterator<Item = &Item> {
        let items = self.modules[&key.0].iter();
        items.filter(|item| is_named(item, &key.1))
    }

    fn read_impls(&mut self) {
        let mut impls = BTreeMap::<Key, Vec<String>>::new();
        for (module, items) in &self.modules {
            for item in items {
                let Item::Impl(block) = item else { continue };
                let Type::Path(name) = &*block.self_ty else { continue };
                let Some(key) = self.key(module, &name.path) else { continue };
                let lines = impls.entry(key).or_default();
                if let Some((of, _)) = &block.trait_ {
                    let ours = self.key(module, of);
                    let is_private = |item| declared(item).is_some_and(|(_, of, _)| !is_public(of));
                    if !ours.is_some_and(|key| self.item(&key).any(is_private)) {
                        let (generics, bounds) = (&block.generics, &block.generics.where_clause);
                        let own = name.path.segments.last().map(|last| text(&last.arguments));
                        let (generics, bounds, own) =
                            (text(generics), text(bounds), own.unwrap_or_default());
                        lines.push(format!("impl{generics} {} for @{own} {bounds}", text(of)));
                    }
                    continue;
                }
                for item in &block.items {
                    match item {
                        ImplItem::Fn(item) if is_public(&item.vis) => {
                            lines.push(function("@", &item.sig, &item.attrs))
                        }
                        ImplItem::Const(item) if is_public(&item.vis) => {
                            lines.push(format!("const @::{}: {}", item.ident, text(&item.ty)));
                        }
                        _ => {}
                    }
                }
            }
        }
        self.impls = impls;
    }

    fn list(&mut self, module: &[String], shown: &str) {
        for item in self.modules[module].clone() {
            if let Item::Use(item) = &item
                && is_public(&item.vis)
            {
                let mut named = Vec::new();
                uses(&item.tree, &[], &mut named);
                for (name, path) in named {
                    match self.resolve(module, &path, 0) {
                        Some((child, last)) if last.is_empty() => {
                            self.list(&child, &format!("{shown}::{name}"))
                        }
                        Some(key) => self.add(&key, &format!("{shown}::{name}"), &item.attrs),
                        None => drop(
                            self.lines.insert(format!("use {shown}::{name} = {}", path.join("::"))),
                        ),
                    }
                }
            }
            let Some((_, visibility, name)) = declared(&item) else { continue };
            let path = format!("{shown}::{name}");
            if is_public(visibility) && matches!(item, Item::Mod(_)) {
                let child = [module, &[name]].concat();
                self.lines.insert(format!("mod {path}"));
                self.list(&child, &path);
                self.public.insert(child);
            } else if is_public(visibility) {
                self.add(&(module.to_vec(), name), &path, &[]);
            }
        }
    }

    fn add(&mut self, key: &Key, path: &str, of_use: &[Attribute]) {
        let items: Vec<_> = self.item(key).cloned().collect();
        assert!(!items.is_empty(), "{path} is not found in {:?}", key.0);
        for item in &items {
            let own = declared(item).map(|(attributes, ..)| attributes).unwrap_or_default();
            let (own, of_use) = (attributes_shown(own), attributes_shown(of_use));
            let mut lines = of_item(item, path);
            lines[0] = format!("{} {}{own}", lines[0], if of_use == own { "" } else { &of_use });
            lines[0] = lines[0].trim_end().to_owned();
            self.lines.extend(lines);
        }
        let more = self.impls.get(key).into_iter().flatten();
        self.lines.extend(more.map(|line| line.replacen('@', path, 1).trim_end().to_owned()));
    }
}

fn function(path: &str, signature: &Signature, attributes: &[Attribute]) -> String {
    let name = format!("fn {}", signature.ident);
    attributes_shown(attributes)
        + &text(signature).replacen(&name, &format!("fn {path}::{}", signature.ident), 1)
}

fn fields(path: &str, fields: &Fields, lines: &mut Vec<String>, all: bool) {
    let public = fields.iter().enumerate().filter(|(_, field)| all || is_public(&field.vis));
    lines.extend(public.map(|(i, field)| {
        let name = field.ident.as_ref().map_or(i.to_string(), ToString::to_string);
        format!("field {path}::{name}: {}", text(&field.ty))
    }));
}

/// The lines of an item: its own, then those of its parts.
fn of_item(item: &Item, path: &str) -> Vec<String> {
    let with = |word: &str, generics| format!("{word} {path}{}", text(generics));
    match item {
        Item::Const(item) => vec![format!("const {path}: {}", text(&item.ty))],
        Item::Static(item) => vec![format!("static {path}: {}", text(&item.ty))],
        Item::Type(item) => vec![format!("{} = {}", with("type", &item.generics), text(&item.ty))],
        Item::Fn(item) => vec![text(&item.sig).replacen(
            &format!("fn {}", item.sig.ident),
            &format!("fn {path}"),
            1,
        )],
        Item::Struct(item) => {
            let mut lines = vec![with("struct", &item.generics)];
            fields(path, &item.fields, &mut lines, false);
            lines
        }
        Item::Enum(item) => {
            let mut lines = vec![with("enum", &item.generics)];
            for variant in &item.variants {
                let path = format!("{path}::{}", variant.ident);
                lines.push(format!("{}variant {path}", attributes_shown(&variant.attrs)));
                fields(&path, &variant.fields, &mut lines, true);
            }
            lines
        }
        Item::Trait(item) => {
            let bounds = text(&item.supertraits);
            let mut lines = vec![format!("{}: {bounds}", with("trait", &item.generics))];
            for part in &item.items {
                lines.push(match part {
                    TraitItem::Fn(part) => {
                        let provided = if part.default.is_some() { " { .. }" } else { "" };
                        function(path, &part.sig, &part.attrs) + provided
                    }
                    TraitItem::Const(part) => {
                        format!("const {path}::{}: {}", part.ident, text(&part.ty))
                    }
                    TraitItem::Type(part) => format!("type {path}::{}", part.ident),
                    other => panic!("unknown to this test: {}", text(other)),
                });
            }
            lines
        }
        other => panic!("unknown to this test: {}", text(other)),
    }
}

/// The lines, and the public modules with an example and in all.
type Surface = (BTreeSet<String>, BTreeSet<Module>, BTreeSet<Module>);

static SURFACE: LazyLock<Surface> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = fs::read_to_string(source.join("lib.rs")).expect("lib.rs");
    let mut all = Crate::default();
    all.load(Vec::new(), syn::parse_file(&root).expect("it compiles").items, &source);
    all.read_impls();
    all.list(&[], "siltstone");
    (all.lines, all.with_example, all.public)
});

/// Goal: nobody changes the public surface without seeing it. `SILTSTONE_PUBLIC_API=write` writes the list anew.
#[test]
fn the_public_items_are_those_of_the_list() {
    let found = &SURFACE.0;
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join(LIST);
    if std::env::var_os("SILTSTONE_PUBLIC_API").is_some_and(|value| value == "write") {
        let lines = found.iter().map(|line| format!("{line}\n"));
        return fs::write(&list, lines.collect::<String>()).expect("the list can be written");
    }
    let agreed = fs::read_to_string(&list).expect(LIST);
    let agreed: BTreeSet<_> = agreed.lines().map(str::to_owned).collect();
    let gone = agreed.difference(found).map(|line| format!("- {line}\n"));
    let new = found.difference(&agreed).map(|line| format!("+ {line}\n"));
    let changes: String = gone.chain(new).collect();
    assert!(
        changes.is_empty(),
        "the public items differ from {LIST}; if that is meant, write it anew with SILTSTONE_PUBLIC_API=write\n{changes}"
    );
}

struct Long(bool);

impl Visit<'_> for Long {
    fn visit_signature(&mut self, signature: &Signature) {
        let arguments =
            signature.inputs.iter().filter(|input| matches!(input, syn::FnArg::Typed(_)));
        self.0 |= arguments.count() > MOST_ARGUMENTS;
        visit::visit_signature(self, signature);
    }

    fn visit_type_tuple(&mut self, tuple: &syn::TypeTuple) {
        self.0 |= tuple.elems.len() > MOST_ARGUMENTS;
        visit::visit_type_tuple(self, tuple);
    }
}

/// Goal: a call is read without counting: what has five parts has names for them.
#[test]
fn no_public_function_takes_five_arguments() {
    let mut seen = 0;
    let is_long = |line: &&String| {
        let mut long = Long(false);
        if let Some((_, rest)) = line.split_once("fn ") {
            let rest = rest.split(" #[").next().unwrap_or(rest);
            let (path, _) = rest.split_at(rest.find(['(', '<']).expect("arguments"));
            let signature = format!("fn f{}", rest[path.len()..].trim_end_matches(" { .. }"));
            long.visit_signature(&syn::parse_str(&signature).expect(line));
            seen += 1;
        } else if let Some((_, of)) = line.split_once(": ").filter(|_| line.starts_with("field ")) {
            long.visit_type(&syn::parse_str(of).expect(line));
        }
        long.0
    };
    let items = &SURFACE.0;
    let is_documented =
        |line: &&String| DOCUMENTED.iter().any(|name| line.contains(&format!("::{name}(")));
    let long: Vec<_> = items.iter().filter(is_long).filter(|line| !is_documented(line)).collect();
    assert!(long.is_empty(), "more than {MOST_ARGUMENTS} arguments or items of a tuple: {long:#?}");
    assert!(seen > 100, "only {seen} functions were read");
}

/// Goal: whoever opens the page of a module sees first how it is used.
#[test]
fn every_public_module_has_an_example() {
    let (_, with_example, public) = &*SURFACE;
    assert!(public.len() > 10, "{public:?}");
    let without: Vec<_> = public.difference(with_example).collect();
    assert!(without.is_empty(), "modules without an example: {without:?}");
}
