//! Any registry that speaks Docker V2: the in-process one.

use tidewaiter::conformance::connector::{Holding, suite};
use tidewaiter::conformance::image::{ImageBuilder, Layer};
use tidewaiter::conformance::registry::{Auth, Options, TestRegistry};
use tidewaiter::model::record::ImageDate;
use tidewaiter::registry::{Credential, Registry, Secret};

#[tokio::test]
async fn suite_holds() {
    let auths = [
        (Auth::Open, Credential::Anonymous),
        (
            Auth::Basic { username: "alice".into(), password: "planted-s3cret".into() },
            Credential::basic("alice", Secret::value("planted-s3cret")),
        ),
        (
            Auth::Bearer { username: "alice".into(), password: "planted-s3cret".into(), realm: None },
            Credential::basic("alice", Secret::value("planted-s3cret")),
        ),
    ];
    for (auth, credential) in auths {
        let server = TestRegistry::start_with(Options { auth, ..Options::default() }).unwrap();
        let mut holding = Holding::new();
        for (repository, content) in [("team/app", "one"), ("team/app", "two"), ("web", "three")] {
            let image = ImageBuilder::new().layer(Layer::new().file("content", content)).build();
            let tags = [content, &format!("{content}-again")];
            let mut digest = None;
            for tag in tags {
                digest = Some(server.push(repository, tag, &image));
            }
            holding = holding.image(repository, &digest.unwrap(), &tags, ImageDate::none());
        }
        let registry = Registry::docker(server.url()).credential(credential);
        suite(&*super::connector(&registry).await.unwrap(), &holding).await;
    }
}
