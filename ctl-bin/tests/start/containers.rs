//! The files for containers say what the program knows: nobody here has Docker, and a wrong word is seen at somebody's home.
//!
//! That the image starts, answers its health check and ends is shown by `.ci/image`, from the same Dockerfile.

use std::fs;
use std::path::{Path, PathBuf};

use yaml_rust2::{Yaml, YamlLoader};

use crate::backup::printed;
use crate::cli::bare;

type Check = fn(&Yaml) -> bool;

/// Keys of a service in the Compose specification, of those that the file has, with what may stand there.
const SERVICE_KEYS: [(&str, Check); 7] = [
    ("build", |value| value["context"].as_str().is_some() && value["dockerfile"].as_str().is_some()),
    ("network_mode", |value| matches!(value.as_str(), Some("none" | "host" | "bridge"))),
    ("restart", |value| matches!(value.as_str(), Some("no" | "always" | "on-failure" | "unless-stopped"))),
    ("read_only", |value| value.as_bool().is_some()),
    ("cap_drop", are_texts),
    ("security_opt", are_texts),
    ("volumes", are_texts),
];

fn are_texts(value: &Yaml) -> bool {
    value.as_vec().is_some_and(|list| !list.is_empty() && list.iter().all(|entry| entry.as_str().is_some()))
}

fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist").join(name)
}

fn help(arguments: &[&str]) -> String {
    printed(bare(&[arguments, &["--help"]].concat()).output().unwrap())
}

/// The instructions of the stage that is the image, in their order.
fn image() -> Vec<(String, String)> {
    let text = fs::read_to_string(dist("Dockerfile")).unwrap();
    let (_, stage) = text.split_once("\nFROM scratch\n").expect("the image has nothing but the program");
    let lines = stage.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

/// Returns the words of the form with brackets, which no shell reads.
fn words(list: &str) -> Vec<String> {
    serde_json::from_str(list).unwrap_or_else(|error| panic!("{list}: {error}"))
}

#[test]
fn the_image_runs_the_program_as_it_is() {
    let (image, serving) = (image(), help(&["serve"]));
    let one = |name: &str| {
        let mut found = image.iter().filter(|(instruction, _)| instruction == name);
        let (_, value) = found.next().unwrap_or_else(|| panic!("{name} is missing"));
        assert!(found.next().is_none(), "{name} is there twice");
        value.as_str()
    };
    let known = ["COPY", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT", "CMD"];
    assert!(image.iter().all(|(instruction, _)| known.contains(&instruction.as_str())), "{image:?}");
    let (variable, home) = one("ENV").split_once('=').unwrap();
    assert!(serving.contains(&format!("[env: {variable}=")), "{variable} is no variable of the program");
    assert_eq!((variable, home), ("CTL_HOME", one("VOLUME")));
    let port = one("EXPOSE").strip_suffix("/udp").unwrap();
    assert!(
        serving.contains("[env: CTL_PORT=]") && serving.contains(&format!("[default: {port}]")),
        "{port}"
    );
    let copied: Vec<_> = image.iter().filter(|(instruction, _)| instruction == "COPY").collect();
    let [(_, binary), (_, homes)] = &copied[..] else { panic!("{copied:?}") };
    let [program] = &words(one("ENTRYPOINT"))[..] else { panic!("{}", one("ENTRYPOINT")) };
    assert!(binary.ends_with(&format!("/ctl-bin {program}")), "{binary}");
    let user = one("USER");
    assert!(homes.contains(&format!("--chown={user} ")) && !user.starts_with("0:"), "{homes}");
    let (parent, _) = home.rsplit_once('/').unwrap();
    assert!(homes.ends_with(&format!(" {parent}/")), "{homes}");
    help(&words(one("CMD")).iter().map(String::as_str).collect::<Vec<_>>());
    let (_, check) = one("HEALTHCHECK").split_once(" CMD ").unwrap();
    let check = words(check);
    assert_eq!(check[0], *program);
    help(&check[1..].iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(one("STOPSIGNAL"), "SIGTERM");
}

#[test]
fn the_image_is_built_by_a_compiler_that_can() {
    let text = fs::read_to_string(dist("Dockerfile")).unwrap();
    let manifest = fs::read_to_string(dist("../Cargo.toml")).unwrap();
    let version = manifest.split_once("rust-version = \"").unwrap().1.split('"').next().unwrap();
    assert!(text.contains(&format!("\nFROM rust:{version}-alpine AS build\n")), "rust-version is {version}");
    assert!(text.contains("cargo build --release --locked -p ctl-bin"), "{text}");
}

#[test]
fn the_compose_file_names_nothing_that_is_not_there() {
    let text = fs::read_to_string(dist("compose.yaml")).unwrap();
    let documents = YamlLoader::load_from_str(&text).unwrap();
    let [file] = &documents[..] else { panic!("{documents:?}") };
    let keys = |of: &Yaml| {
        let hash = of.as_hash().unwrap_or_else(|| panic!("{of:?}"));
        hash.keys().map(|key| key.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(keys(file), ["services", "volumes"]);
    assert_eq!(keys(&file["services"]), ["controller"]);
    let service = &file["services"]["controller"];
    for key in keys(service) {
        let (_, is_right) =
            SERVICE_KEYS.iter().find(|(known, _)| *known == key).unwrap_or_else(|| panic!("{key}"));
        assert!(is_right(&service[key.as_str()]), "{key}: {:?}", service[key.as_str()]);
    }
    let build = &service["build"];
    let context = dist(build["context"].as_str().unwrap());
    assert!(
        context.join("Cargo.lock").is_file() && context.join(build["dockerfile"].as_str().unwrap()).is_file()
    );
    let volume = image().into_iter().find(|(instruction, _)| instruction == "VOLUME").unwrap().1;
    let [place] = &service["volumes"].as_vec().unwrap()[..] else { panic!("{service:?}") };
    let (name, target) = place.as_str().unwrap().split_once(':').unwrap();
    assert_eq!((keys(&file["volumes"]), target), (vec![name.to_owned()], volume.as_str()));
    // What it tells to type.
    let program = words(&image().into_iter().find(|(instruction, _)| instruction == "ENTRYPOINT").unwrap().1);
    let exec = format!("# docker compose -f dist/compose.yaml exec controller {} ", program[0]);
    let typed = text.lines().find_map(|line| line.strip_prefix(&exec)).expect("how to run a command in it");
    help(&typed.split(' ').collect::<Vec<_>>());
}
