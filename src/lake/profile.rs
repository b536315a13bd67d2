//! Profiles of AWS: keys, region and endpoint in the files that its tools share.
//!
//! # Source
//! AWS SDKs and Tools Reference Guide, "Shared config and credentials files" and "Standardized credential providers".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use crate::error::{Error, Result};

/// Variables of the environment that say who enters: what they say comes before a profile that nobody named.
const IDENTITIES: [&str; 5] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
    "AWS_ALLOW_ANONYMOUS",
];
/// Keys of a profile, and what the builder calls them.
const KEYS: [(&str, AmazonS3ConfigKey); 6] = [
    ("aws_access_key_id", AmazonS3ConfigKey::AccessKeyId),
    ("aws_secret_access_key", AmazonS3ConfigKey::SecretAccessKey),
    ("aws_session_token", AmazonS3ConfigKey::Token),
    ("region", AmazonS3ConfigKey::Region),
    ("endpoint_url_s3", AmazonS3ConfigKey::Endpoint),
    ("endpoint_url", AmazonS3ConfigKey::Endpoint),
];
/// Keys of a profile whose credentials another program, or another service, gives.
const ELSEWHERE: [&str; 8] = [
    "sso_session",
    "sso_start_url",
    "role_arn",
    "source_profile",
    "credential_source",
    "credential_process",
    "web_identity_token_file",
    "login_session",
];

type Variable<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What stands in a profile.
type Profile = BTreeMap<String, String>;

/// The builder with what the profile has and the environment does not: the one that `AWS_PROFILE` names, else `default`.
///
/// # Errors
/// [`Error::NotFound`] for a profile that was named and is not there; [`Error::Invalid`] for one whose keys other programs give.
pub(super) fn with_profile(
    builder: AmazonS3Builder,
    variable: Variable<'_>,
) -> Result<AmazonS3Builder> {
    let named = variable("AWS_PROFILE").filter(|name| !name.is_empty());
    let is_known = variable("AWS_ACCESS_KEY_ID").is_some();
    if named.is_none() && IDENTITIES.iter().any(|name| variable(name).is_some()) {
        return Ok(builder);
    }
    let file = |name: &str, usual: &str| {
        let given = variable(name).map(PathBuf::from);
        given.or_else(|| Some(std::env::home_dir()?.join(".aws").join(usual)))
    };
    let name = named.as_deref().unwrap_or("default");
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials");
    let config = file("AWS_CONFIG_FILE", "config");
    let mut found = None;
    for (path, prefix) in [(&config, "profile "), (&credentials, "")] {
        let Some(path) = path else { continue };
        // The keys of both: those of the credentials count more.
        if let Some(part) = section(&read(path)?, name, prefix) {
            found.get_or_insert_with(Profile::new).extend(part);
        }
    }
    let Some(profile) = found else {
        let location =
            [credentials, config].into_iter().flatten().map(|path| path.display().to_string());
        let location = location.collect::<Vec<_>>().join(" and ");
        return match named {
            Some(name) => Err(Error::NotFound { what: "AWS profile", name, location }),
            None => Ok(builder),
        };
    };
    let elsewhere = ELSEWHERE.iter().find(|key| profile.contains_key(**key));
    if let Some(key) = elsewhere.filter(|_| !is_known && !profile.contains_key("aws_access_key_id"))
    {
        let expected = "an access key, as AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the \
            environment, which `aws configure export-credentials --format env` prints";
        let what = format!("the AWS profile {name:?}");
        return Err(Error::invalid(what, expected, format!("{key}, which is not supported")));
    }
    let mut builder = builder;
    for (key, name) in KEYS {
        let Some(value) = profile.get(key) else { continue };
        let is_secret = key.starts_with("aws_");
        if builder.get_config_value(&name).is_none() && !(is_secret && is_known) {
            builder = builder.with_config(name, value);
        }
    }
    Ok(builder)
}

fn read(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|e| Error::io(path, "reading the profiles of AWS", &e)),
    }
}

/// A section of a file; `prefix` stands before all names but `default`.
fn section(text: &str, name: &str, prefix: &str) -> Option<Profile> {
    let mut found: Option<Profile> = None;
    let mut is_inside = false;
    for line in text.lines() {
        let is_nested = line.starts_with([' ', '\t']);
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let title = title.trim();
            let own = title.strip_prefix(prefix.trim_end()).unwrap_or(title);
            is_inside =
                own.trim() == name && (prefix.is_empty() || name == "default" || own != title);
            if is_inside {
                found.get_or_insert_default();
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| is_inside && !is_nested)
        {
            let profile = found.get_or_insert_default();
            profile.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the builder knows after a profile, or why it is refused.
    fn with(variables: &[(&str, &str)], credentials: &str, config: &str) -> Result<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] =
            [("credentials", credentials), ("config", config)].map(|(name, text)| {
                let path = folder.path().join(name);
                std::fs::write(&path, text).unwrap();
                path.display().to_string()
            });
        let variable = |name: &str| match name {
            "AWS_SHARED_CREDENTIALS_FILE" => Some(first.clone()),
            "AWS_CONFIG_FILE" => Some(second.clone()),
            _ => variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned()),
        };
        let mut builder = AmazonS3Builder::new();
        for (name, value) in variables {
            if let Ok(key) = name.to_lowercase().parse() {
                builder = builder.with_config(key, *value);
            }
        }
        let builder = with_profile(builder, &variable)?;
        let known =
            KEYS.iter().take(5).map(|(_, key)| builder.get_config_value(key).unwrap_or_default());
        Ok(known.collect())
    }

    const CREDENTIALS: &str = "# ours\n[default]\naws_access_key_id = A\naws_secret_access_key=B=\n\n[ci]\n\
        AWS_ACCESS_KEY_ID = C # of June\naws_secret_access_key = D\naws_session_token = E\n[alone]\nregion = x\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\ns3 =\n    region = none\n[profile ci]\nregion = eu-north-1\n\
        endpoint_url = http://minio:9000\n[sso]\nregion = none\n[profile sso]\nsso_session = team\n\
        [profile role]\nrole_arn = arn:aws:iam::1:role/x\nsource_profile = default\n";

    /// Goal: keys come from the profile that is named, else from `default`, and what the environment says counts more.
    #[test]
    fn a_profile_gives_what_the_environment_does_not() {
        let known = |variables: &[(&str, &str)]| with(variables, CREDENTIALS, CONFIG).unwrap();
        assert_eq!(known(&[]), ["A", "B=", "", "eu-west-1", ""]);
        let ci = ("AWS_PROFILE", "ci");
        assert_eq!(known(&[ci]), ["C", "D", "E", "eu-north-1", "http://minio:9000"]);
        assert_eq!(known(&[ci, ("AWS_REGION", "us-east-1")])[3], "us-east-1");
        let keys = [("AWS_ACCESS_KEY_ID", "K"), ("AWS_SECRET_ACCESS_KEY", "L")];
        assert_eq!(known(&keys), ["K", "L", "", "eu-west-1", ""]);
        assert_eq!(
            known(&[ci, keys[0], keys[1]]),
            ["K", "L", "", "eu-north-1", "http://minio:9000"]
        );
        assert_eq!(known(&[("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")])[0], "");
        assert_eq!(with(&[], "", "").unwrap(), [""; 5]);
    }

    /// Goal: a profile that is not there, or whose keys come from elsewhere, is refused with what to do, and no secret is in it.
    #[test]
    fn profiles_without_keys_are_refused_by_name() {
        let refused =
            |name| with(&[("AWS_PROFILE", name)], CREDENTIALS, CONFIG).unwrap_err().to_string();
        for (name, why) in [
            ("sso", "sso_session"),
            ("role", "role_arn"),
            ("nobody", "AWS profile"),
            ("profile ci", "AWS profile"),
        ] {
            let error = refused(name);
            assert!(error.contains(why), "{error}");
            assert!(why.starts_with("AWS") || error.contains("AWS_SECRET_ACCESS_KEY"), "{error}");
        }
    }
}
