//! Where things are in Amazon's cloud: partitions, regions, hosts.

use crate::error::{Error, Kind, Result};
use crate::registry::surroundings::Surroundings;

/// The error of a service that does not answer: where there is no such region, its hosts have no address.
pub(super) fn out_of_reach(error: Error, region: &str) -> Error {
    if error.kind() != Kind::Unavailable {
        return error;
    }
    let hint = match error.hint() {
        Some(hint) => format!("check the region, since one that does not exist has no hosts; else {hint}"),
        None => "check the region, since one that does not exist has no hosts".to_owned(),
    };
    Error::new(Kind::Unavailable, "the service of the region does not answer")
        .with("region", region.escape_debug())
        .with_hint(hint)
        .because(error)
}

/// A part of the cloud with hosts of its own: how its regions begin, and the two suffixes of its hosts.
struct Partition {
    regions: &'static str,
    suffix: &'static str,
    dual_stack: &'static str,
    /// The suffix of the registries over IPv4 and IPv6.
    registries: &'static str,
}

/// From botocore's `partitions.json`; the regions of all others begin like no other partition's.
const PARTITIONS: [Partition; 8] = [
    Partition {
        regions: "cn-",
        suffix: "amazonaws.com.cn",
        dual_stack: "api.amazonwebservices.com.cn",
        registries: "on.amazonwebservices.com.cn",
    },
    Partition { regions: "us-gov-", suffix: "amazonaws.com", dual_stack: "api.aws", registries: "on.aws" },
    Partition {
        regions: "eusc-",
        suffix: "amazonaws.eu",
        dual_stack: "api.amazonwebservices.eu",
        registries: "on.amazonwebservices.eu",
    },
    Partition { regions: "us-iso-", suffix: "c2s.ic.gov", dual_stack: "api.aws.ic.gov", registries: "on.aws.ic.gov" },
    Partition {
        regions: "us-isob-",
        suffix: "sc2s.sgov.gov",
        dual_stack: "api.aws.scloud",
        registries: "on.aws.scloud",
    },
    Partition {
        regions: "eu-isoe-",
        suffix: "cloud.adc-e.uk",
        dual_stack: "api.cloud-aws.adc-e.uk",
        registries: "on.cloud-aws.adc-e.uk",
    },
    Partition {
        regions: "us-isof-",
        suffix: "csp.hci.ic.gov",
        dual_stack: "api.aws.hci.ic.gov",
        registries: "on.aws.hci.ic.gov",
    },
    Partition { regions: "", suffix: "amazonaws.com", dual_stack: "api.aws", registries: "on.aws" },
];

/// Where FIPS endpoints of the API have their old name, as the General Reference documents it; elsewhere `api.ecr-fips`.
const OLD_FIPS: [&str; 6] = ["us-east-1", "us-east-2", "us-west-1", "us-west-2", "us-gov-east-1", "us-gov-west-1"];

fn partition(region: &str) -> &'static Partition {
    const LAST: &Partition = &PARTITIONS[7];
    PARTITIONS.iter().find(|partition| region.starts_with(partition.regions)).unwrap_or(LAST)
}

/// Which of the hosts of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::registry) struct Variant {
    /// The one with validated cryptography.
    pub(in crate::registry) fips: bool,
    /// The one over IPv4 and IPv6.
    pub(in crate::registry) dual_stack: bool,
}

/// Where a private registry is, as its host says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::registry) struct Place {
    /// The region.
    pub(in crate::registry) region: String,
    /// The account that owns the registry, twelve digits.
    pub(in crate::registry) account: String,
    /// Which of the hosts.
    pub(in crate::registry) variant: Variant,
}

impl Place {
    /// What a host says; none for one that is no registry of Amazon's, from its first letter to its last.
    pub(in crate::registry) fn of_host(host: &str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        let (service, rest) = rest.strip_prefix("dkr.").or_else(|| rest.strip_prefix("dkr-"))?.split_once('.')?;
        let fips = match service {
            "ecr" => false,
            "ecr-fips" => true,
            _ => return None,
        };
        let (region, suffix) = rest.split_once('.')?;
        let known = partition(region);
        let dual_stack = suffix == known.registries;
        let is_known = is_account(account) && is_region(region) && (dual_stack || suffix == known.suffix);
        is_known.then(|| Self {
            region: region.to_owned(),
            account: account.to_owned(),
            variant: Variant { fips, dual_stack },
        })
    }

    /// The host.
    pub(in crate::registry) fn host(&self) -> String {
        let Self { region, account, variant } = self;
        let fips = if variant.fips { "-fips" } else { "" };
        if variant.dual_stack {
            format!("{account}.dkr-ecr{fips}.{region}.{}", partition(region).registries)
        } else {
            format!("{account}.dkr.ecr{fips}.{region}.{}", partition(region).suffix)
        }
    }

    /// The place if region and account can be such.
    ///
    /// # Errors
    /// [`Kind::InvalidInput`] naming the field.
    pub(in crate::registry) fn checked(self) -> Result<Self> {
        let wrong = |field: &'static str, value: &str, hint: &'static str| {
            let error = Error::new(Kind::InvalidInput, "this cannot be right").with("field", field);
            Err(error.with("value", value.escape_debug()).with_hint(hint))
        };
        if !is_region(&self.region) {
            return wrong("region", &self.region, "a region is such as eu-west-1 or us-gov-west-1");
        }
        if !is_account(&self.account) {
            return wrong("account", &self.account, "an account is twelve digits");
        }
        Ok(self)
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Regions come up every year; this is what they all look like.
fn is_region(text: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    text.len() <= 32 && text.contains('-') && text.split('-').all(is_part)
}

/// The address of a service: what the environment says (`AWS_ENDPOINT_URL_...`), else the region's.
pub(in crate::registry) fn service_url(
    service: &str,
    region: &str,
    variant: Variant,
    surroundings: &Surroundings,
) -> String {
    if !surroundings.is_set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        let name = format!("AWS_ENDPOINT_URL_{}", service.replace('-', "_").to_ascii_uppercase());
        if let Some(url) = surroundings.variable(&name).or_else(|| surroundings.variable("AWS_ENDPOINT_URL")) {
            return url;
        }
    }
    let Partition { suffix, dual_stack, .. } = partition(region);
    let fips = variant.fips || surroundings.is_set("AWS_USE_FIPS_ENDPOINT");
    let is_dual = variant.dual_stack || surroundings.is_set("AWS_USE_DUALSTACK_ENDPOINT");
    let is_registry = service.starts_with("ecr");
    // In GovCloud these have validated cryptography under their usual names, and no others.
    let is_fips_anyway = matches!(service, "sts" | "sso") && region.starts_with("us-gov-") && !is_dual;
    let name = if fips && !is_fips_anyway { format!("{service}-fips") } else { service.to_owned() };
    let name = if service == "sso" { format!("portal.{name}") } else { name };
    match (is_dual, is_registry) {
        (true, _) => format!("https://{name}.{region}.{dual_stack}"),
        (false, true) if !(fips && OLD_FIPS.contains(&region)) => format!("https://api.{name}.{region}.{suffix}"),
        (false, _) => format!("https://{name}.{region}.{suffix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn hosts_are_read_and_written() {
        for (host, region, fips, dual_stack) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "eu-west-1", false, false),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", true, false),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1", false, false),
            ("123456789012.dkr-ecr.us-east-1.on.aws", "us-east-1", false, true),
            ("123456789012.dkr-ecr-fips.us-east-1.on.aws", "us-east-1", true, true),
            ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", "cn-north-1", false, true),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1", false, false),
            ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1", false, false),
            ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", "eu-isoe-west-1", false, false),
        ] {
            let place = Place::of_host(host).unwrap();
            assert_eq!(place, Place { region: region.into(), account: "123456789012".into(), variant: Variant { fips, dual_stack } });
            assert_eq!(place.host(), host);
        }
        for host in [
            "123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example", "evil.example", "12345678901.dkr.ecr.us-east-1.amazonaws.com",
            "x123456789012.dkr.ecr.us-east-1.amazonaws.com", "123456789012.dkr.ecr.us-east-1.amazonaws.com.cn", "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
            "123456789012.dkr.ecr.amazonaws.com", "123456789012.dkr.ecr.us.east-1.amazonaws.com", "123456789012.dkr.s3.us-east-1.amazonaws.com",
        ] {
            assert_eq!(Place::of_host(host), None, "{host}");
        }
    }

    #[test]
    fn services_are_where_the_region_has_them() {
        let none = Surroundings::of([]);
        let (plain, fips) = (Variant::default(), Variant { fips: true, dual_stack: false });
        let (dual, both) = (Variant { fips: false, dual_stack: true }, Variant { fips: true, dual_stack: true });
        for (service, region, variant, url) in [
            ("ecr", "eu-west-1", plain, "https://api.ecr.eu-west-1.amazonaws.com"),
            ("ecr", "us-gov-west-1", plain, "https://api.ecr.us-gov-west-1.amazonaws.com"),
            ("ecr", "cn-north-1", plain, "https://api.ecr.cn-north-1.amazonaws.com.cn"),
            ("ecr", "cn-north-1", dual, "https://ecr.cn-north-1.api.amazonwebservices.com.cn"),
            ("ecr", "us-east-1", fips, "https://ecr-fips.us-east-1.amazonaws.com"),
            ("ecr", "eu-west-1", fips, "https://api.ecr-fips.eu-west-1.amazonaws.com"),
            ("ecr-public", "us-east-1", plain, "https://api.ecr-public.us-east-1.amazonaws.com"),
            ("sts", "eu-west-1", plain, "https://sts.eu-west-1.amazonaws.com"),
            ("sts", "us-east-1", fips, "https://sts-fips.us-east-1.amazonaws.com"),
            ("sts", "us-gov-west-1", fips, "https://sts.us-gov-west-1.amazonaws.com"),
            ("sts", "us-gov-west-1", both, "https://sts-fips.us-gov-west-1.api.aws"),
            ("sso", "eu-west-1", plain, "https://portal.sso.eu-west-1.amazonaws.com"),
            ("sso", "eu-west-1", dual, "https://portal.sso.eu-west-1.api.aws"),
            ("sso", "us-east-1", fips, "https://portal.sso-fips.us-east-1.amazonaws.com"),
            ("sso", "us-gov-west-1", fips, "https://portal.sso.us-gov-west-1.amazonaws.com"),
        ] {
            assert_eq!(service_url(service, region, variant, &none), url);
        }
        let set = Surroundings::of([("AWS_ENDPOINT_URL_ECR", "http://a"), ("AWS_ENDPOINT_URL", "http://b")]);
        assert_eq!(service_url("ecr", "eu-west-1", plain, &set), "http://a");
        assert_eq!(service_url("sts", "eu-west-1", plain, &set), "http://b");
        let fips = Surroundings::of([("AWS_USE_FIPS_ENDPOINT", "true")]);
        assert_eq!(service_url("sts", "us-east-1", plain, &fips), "https://sts-fips.us-east-1.amazonaws.com");
    }
}
