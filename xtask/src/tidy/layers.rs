//! Layers and sans-IO: what `[package.metadata.tidy]` promises, held against what cargo resolved.
//!
//! Every crate of the workspace says `layer = N` and `io = true | false`. A dependency between two of them goes strictly
//! down, development and build dependencies included, because an edge that only tests use is an edge that the next reader
//! takes for allowed. A crate with `io = false` has no crate of [`IO_CRATES`] in what it is linked with.

use super::Finding;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Crates that bring sockets, timers or an executor.
const IO_CRATES: [&str; 5] = ["tokio", "mio", "socket2", "async-io", "smol"];

/// One package of the workspace, as its manifest describes it.
struct Member {
    id: String,
    name: String,
    layer: Option<u64>,
    io: Option<bool>,
    /// Names of the packages it depends on, of every kind.
    dependencies: BTreeSet<String>,
}

/// What `cargo metadata` knows.
pub(super) struct Workspace {
    members: Vec<Member>,
    /// Package id to name, for every package.
    names: BTreeMap<String, String>,
    /// Package id to the ids of what it is linked with (normal dependencies only).
    links: BTreeMap<String, Vec<String>>,
}

impl Workspace {
    /// Reads the output of `cargo metadata --format-version 1`.
    pub(super) fn parse(metadata: &Value) -> Result<Self> {
        let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let workspace: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
        let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
        let nodes = metadata["resolve"]["nodes"].as_array().context("cargo metadata resolved nothing")?;

        let names = packages.iter().map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let members = packages
            .iter()
            .filter(|package| workspace.contains(&text(&package["id"])))
            .map(|package| Member {
                id: text(&package["id"]),
                name: text(&package["name"]),
                layer: package["metadata"]["tidy"]["layer"].as_u64(),
                io: package["metadata"]["tidy"]["io"].as_bool(),
                dependencies: list(&package["dependencies"]).iter().map(|to| text(&to["name"])).collect(),
            })
            .collect();
        let links = nodes
            .iter()
            .map(|node| {
                let linked = list(&node["deps"])
                    .iter()
                    .filter(|to| list(&to["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
                    .map(|to| text(&to["pkg"]))
                    .collect();
                (text(&node["id"]), linked)
            })
            .collect();
        Ok(Self { members, names, links })
    }

    /// The shortest chain of links from `from` to a package called `name`, as names.
    fn path_to(&self, from: &str, name: &str) -> Option<Vec<&str>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut todo = std::collections::VecDeque::from([from]);
        while let Some(id) = todo.pop_front() {
            if self.names.get(id).is_some_and(|found| found == name) {
                let steps = std::iter::successors(Some(id), |step| came_from.get(step).copied());
                let mut path: Vec<&str> =
                    steps.filter_map(|step| self.names.get(step)).map(String::as_str).collect();
                path.reverse();
                return Some(path);
            }
            for next in self.links.get(id).into_iter().flatten() {
                if next != from && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, id);
                    todo.push_back(next);
                }
            }
        }
        None
    }
}

/// Holds every member against what it promises.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in &workspace.members {
        let (Some(layer), Some(io)) = (member.layer, member.io) else {
            findings.push(Finding::fault(
                &member.name,
                "[package.metadata.tidy] must say `layer = N` and `io = true | false`",
            ));
            continue;
        };
        for other in workspace.members.iter().filter(|other| member.dependencies.contains(&other.name)) {
            // A crate without a layer has its own finding.
            if let Some(below) = other.layer.filter(|below| *below >= layer) {
                let text = format!(
                    "layer {layer} may not depend on {} of layer {below}: layers go strictly down",
                    other.name
                );
                findings.push(Finding::fault(&member.name, text));
            }
        }
        if !io {
            findings.extend(IO_CRATES.iter().filter_map(|name| workspace.path_to(&member.id, name)).map(
                |path| {
                    Finding::fault(
                        &member.name,
                        format!("is sans-IO (io = false), yet is linked with {}", path.join(" → ")),
                    )
                },
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Name, `tidy` table, dependencies with their kind.
    type Crate<'a> = (&'a str, Value, &'a [(&'a str, Value)]);

    /// A workspace of these crates; `tokio` and `bytes` are always there.
    fn workspace(crates: &[Crate<'_>]) -> Workspace {
        let package = |name: &str, tidy: &Value, deps: &[(&str, Value)]| {
            json!({ "id": format!("id-{name}"), "name": name, "metadata": { "tidy": tidy },
                "dependencies": deps.iter().map(|(to, kind)| json!({ "name": to, "kind": kind })).collect::<Vec<_>>() })
        };
        let node = |name: &str, deps: &[(&str, Value)]| {
            json!({ "id": format!("id-{name}"), "deps": deps.iter().map(|(to, kind)|
                json!({ "pkg": format!("id-{to}"), "dep_kinds": [{ "kind": kind }] })).collect::<Vec<_>>() })
        };
        let mut packages = vec![package("tokio", &Value::Null, &[]), package("bytes", &Value::Null, &[])];
        let mut nodes = vec![node("tokio", &[]), node("bytes", &[])];
        for (name, tidy, deps) in crates {
            packages.push(package(name, tidy, deps));
            nodes.push(node(name, deps));
        }
        let members: Vec<String> = crates.iter().map(|(name, ..)| format!("id-{name}")).collect();
        Workspace::parse(
            &json!({ "packages": packages, "workspace_members": members, "resolve": { "nodes": nodes } }),
        )
        .unwrap()
    }

    fn faults(crates: &[Crate<'_>]) -> Vec<String> {
        check(&workspace(crates))
            .into_iter()
            .map(|finding| format!("{}: {}", finding.place, finding.text))
            .collect()
    }

    fn at(layer: u64, io: bool) -> Value {
        json!({ "layer": layer, "io": io })
    }

    #[test]
    fn edges_that_go_down_are_fine() {
        let normal = Value::Null;
        let below = [("bytes", normal.clone())];
        let above = [("media", normal.clone()), ("tokio", normal)];
        assert_eq!(
            faults(&[("media", at(0, false), &below), ("hub", at(3, true), &above)]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn an_edge_sideways_or_up_is_a_fault_even_if_only_tests_use_it() {
        for (layer, kind) in [(3, Value::Null), (4, json!("dev")), (3, json!("build"))] {
            let deps = [("gate", kind)];
            let found = faults(&[("gate", at(layer, true), &[]), ("hub", at(3, true), &deps)]);
            let text =
                format!("hub: layer 3 may not depend on gate of layer {layer}: layers go strictly down");
            assert_eq!(found, [text]);
        }
    }

    #[test]
    fn a_sans_io_crate_that_reaches_tokio_is_named_with_the_way_there() {
        let through = [("runtime", Value::Null)];
        let direct = [("tokio", Value::Null)];
        let found = faults(&[("runtime", at(1, true), &direct), ("rtmp", at(3, false), &through)]);
        assert_eq!(found, ["rtmp: is sans-IO (io = false), yet is linked with rtmp → runtime → tokio"]);
    }

    #[test]
    fn what_only_tests_link_does_not_count_as_io() {
        let deps = [("tokio", json!("dev"))];
        assert_eq!(faults(&[("rtmp", at(3, false), &deps)]), Vec::<String>::new());
    }

    #[test]
    fn a_crate_that_promises_nothing_is_a_fault() {
        assert_eq!(faults(&[("hub", Value::Null, &[])]).len(), 1);
        assert_eq!(faults(&[("hub", json!({ "layer": 3 }), &[])]).len(), 1);
    }
}
