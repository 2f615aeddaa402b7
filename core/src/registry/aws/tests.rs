//! The places where keys are looked for, against a small server that stands in for the metadata and token services.

use super::chain::Chain;
use super::credential::AwsCredential;
use super::endpoint::Variant;
use crate::context::Context;
use crate::error::{Kind, Result};
use crate::net::client::{Client, Options};
use crate::registry::secret::Secret;
use crate::registry::stub::server;
use crate::registry::surroundings::Surroundings;

const STS: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId>\
    <SecretAccessKey>planted-role-s3cret</SecretAccessKey><SessionToken>t&amp;k</SessionToken>\
    <Expiration>2099-01-02T04:04:05Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";
const KEY: &str = r#"{"Code":"Success","AccessKeyId":"ASIAMACHINE","SecretAccessKey":"planted-s3cret","Token":"t","Expiration":"2099-01-02T09:04:05Z"}"#;

/// A place: what it is called, what the user says, the environment, the key that is found and its session token.
type Case = (&'static str, AwsCredential, Vec<(&'static str, String)>, &'static str);

async fn keys(credential: AwsCredential, variables: &[(&str, &str)]) -> Result<String> {
    let client = Client::new(&Options::default()).unwrap();
    let surroundings = Surroundings::of(variables.iter().copied());
    let chain = Chain::new(credential, "eu-west-1", Variant::default(), client, surroundings)?;
    let keys = chain.keys(&Context::new()).await?;
    assert!(!format!("{keys:?}").contains("s3cret"), "{keys:?}");
    let token = keys.token.as_deref().map(String::as_str).unwrap_or("-");
    Ok(format!("{} {token}", keys.id))
}

#[tokio::test]
async fn is_found_in_every_place() {
    let (url, log) = server(&[
        ("Action=AssumeRole&", 200, "", STS),
        ("Action=AssumeRoleWithWebIdentity&", 200, "", STS),
        ("PUT /latest/api/token", 200, "", "imds-token"),
        ("/security-credentials/default-role", 200, "", KEY),
        ("/security-credentials/", 200, "", "default-role\n"),
        ("/container", 200, "", KEY),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let config = write(
        "config",
        "[profile role]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = keys\nexternal_id = ext\n\
         [profile mfa]\nrole_arn = arn:x\nsource_profile = keys\nmfa_serial = arn:y\n\
         [profile a]\nrole_arn = arn:x\nsource_profile = b\n[profile b]\nrole_arn = arn:x\nsource_profile = a\n\
         [profile process]\ncredential_process = /bin/false\n\
         [profile sso]\nsso_start_url = https://x\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r\n",
    );
    let credentials =
        write("credentials", "[keys]\naws_access_key_id = AKIDFILE\naws_secret_access_key = planted-s3cret\n");
    let web = write("web", "web-token\n");
    let home = folder.path().display().to_string();
    let files =
        [("AWS_CONFIG_FILE", config.as_str()), ("AWS_SHARED_CREDENTIALS_FILE", credentials.as_str()), ("HOME", &home)];
    let with = |more: &[(&'static str, String)]| -> Vec<(&'static str, String)> {
        let files = files.map(|(name, value)| (name, value.to_owned()));
        files.into_iter().chain([("AWS_ENDPOINT_URL_STS", url.clone())]).chain(more.iter().cloned()).collect()
    };
    let environment =
        [("AWS_ACCESS_KEY_ID", "AKIDENV".to_owned()), ("AWS_SECRET_ACCESS_KEY", "planted-s3cret".to_owned())];
    let off = ("AWS_EC2_METADATA_DISABLED", "true".to_owned());
    let fields = AwsCredential::keys("AKIDFIELD", Secret::value("planted-s3cret"));
    let cases: Vec<Case> = vec![
        ("fields", fields.clone(), with(&environment), "AKIDFIELD -"),
        ("session", fields.clone().with_session_token(Secret::value("s")), with(&[]), "AKIDFIELD s"),
        ("environment", AwsCredential::new(), with(&environment), "AKIDENV -"),
        ("profile", AwsCredential::profile("keys"), with(&environment), "AKIDFILE -"),
        ("AWS_PROFILE", AwsCredential::new(), with(&[("AWS_PROFILE", "keys".into())]), "AKIDFILE -"),
        ("role of a profile", AwsCredential::profile("role"), with(&[]), "ASIAROLE t&k"),
        (
            "role",
            fields.with_role("arn:aws:iam::123456789012:role/y").with_external_id("ext-42"),
            with(&[]),
            "ASIAROLE t&k",
        ),
        (
            "web identity of the machine",
            AwsCredential::new(),
            with(&[("AWS_WEB_IDENTITY_TOKEN_FILE", web.clone()), ("AWS_ROLE_ARN", "arn:z".into())]),
            "ASIAROLE t&k",
        ),
        ("web identity", AwsCredential::new().with_role("arn:z").with_web_identity(&web), with(&[]), "ASIAROLE t&k"),
        (
            "container",
            AwsCredential::new(),
            with(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{url}/container"))]),
            "ASIAMACHINE t",
        ),
        (
            "instance",
            AwsCredential::new(),
            with(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", url.clone())]),
            "ASIAMACHINE t",
        ),
    ];
    for (what, credential, variables, expected) in cases {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(keys(credential, &variables).await.unwrap(), expected, "{what}");
    }
    let seen = log.lock().unwrap().join("\n\n");
    assert!(
        seen.contains("ExternalId=ext-42") && seen.contains("ExternalId=ext&") || seen.contains("ExternalId=ext\n"),
        "{seen}"
    );
    assert!(seen.contains("WebIdentityToken=web-token") && seen.contains("x-aws-ec2-metadata-token: imds-token"));
    assert!(!seen.contains("s3cret"));

    for (what, credential, kind, named) in [
        ("nothing", AwsCredential::new(), Kind::Unauthenticated, "environment"),
        ("unknown", AwsCredential::profile("none"), Kind::InvalidInput, "none"),
        ("mfa", AwsCredential::profile("mfa"), Kind::InvalidInput, "types in"),
        ("circle", AwsCredential::profile("a"), Kind::InvalidInput, "circle"),
        ("process", AwsCredential::profile("process"), Kind::InvalidInput, "no key"),
        ("nobody logged in", AwsCredential::profile("sso"), Kind::Unauthenticated, "logged in"),
    ] {
        let variables = with(std::slice::from_ref(&off));
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let error = keys(credential, &variables).await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(named), "{what}: {error:?}");
        assert!(error.hint().is_some(), "{what}: {error:?}");
    }
}

#[tokio::test]
async fn what_only_amazon_s_own_tools_read_is_told_and_not_passed_over() {
    for setting in ["credential_process", "login_session"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("[default]\n{setting} = x\n")).unwrap();
        let path = file.path().display().to_string();
        let variables = [
            ("AWS_CONFIG_FILE", path.as_str()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        let error = keys(AwsCredential::new(), &variables).await.unwrap_err();
        assert!(error.kind() == Kind::InvalidInput && error.to_string().contains(setting), "{error:?}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("aws configure export-credentials --profile default --format env"), "{hint}");
    }
}

#[tokio::test]
async fn a_token_file_takes_on_the_role_of_the_environment() {
    let (url, _) = server(&[("Action=AssumeRoleWithWebIdentity&", 200, "", STS)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "token").unwrap();
    let credential = AwsCredential::new().with_web_identity(file.path()).with_sts_endpoint(url);
    assert_eq!(keys(credential.clone(), &[("AWS_ROLE_ARN", "arn:x")]).await.unwrap(), "ASIAROLE t&k");
    let error = keys(credential, &[]).await.unwrap_err();
    assert!(error.kind() == Kind::InvalidInput && error.to_string().contains("role_arn"), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_without_a_scheme_is_one_over_https() {
    let chain = |sts: &str| {
        let credential = AwsCredential::new().with_sts_endpoint(sts);
        let client = Client::new(&Options::default()).unwrap();
        Chain::new(credential, "eu-west-1", Variant::default(), client, Surroundings::of([]))
    };
    let shown = format!("{:?}", chain("localhost:5000").unwrap());
    assert!(shown.contains("https") && shown.contains("localhost"), "{shown}");
    for wrong in ["ftp://localhost", "http://", "localhost:port"] {
        let error = chain(wrong).unwrap_err();
        assert!(error.kind() == Kind::InvalidInput && error.to_string().contains("sts_endpoint"), "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("https://host:port")), "{error:?}");
    }
}

#[tokio::test]
async fn a_role_that_is_not_given_says_why() {
    let (url, _) = server(&[(
        "Action=AssumeRole&",
        403,
        "",
        "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform sts:AssumeRole</Message></Error></ErrorResponse>",
    )]);
    let credential =
        AwsCredential::keys("A", Secret::value("planted-s3cret")).with_role("arn:x").with_sts_endpoint(url);
    let error = keys(credential, &[]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::PermissionDenied);
    let text = format!("{error:?}");
    assert!(text.contains("sts:AssumeRole") && text.contains("trust policy") && !text.contains("s3cret"), "{text}");
}
