//! The Maven groups of jars that do not say theirs: what Gradle and Ant build has no `pom.properties`, and its manifest names at
//! most a module.

/// What the names of artifacts begin with, up to a `-` or a `_`, and their group. Of several the longest counts.
const GROUPS: &[(&str, &str)] = &[
    ("akka", "com.typesafe.akka"),
    ("armeria", "com.linecorp.armeria"),
    ("asm", "org.ow2.asm"),
    ("bc-fips", "org.bouncycastle"),
    ("bcmail", "org.bouncycastle"),
    ("bcpg", "org.bouncycastle"),
    ("bcpkix", "org.bouncycastle"),
    ("bcprov", "org.bouncycastle"),
    ("bctls", "org.bouncycastle"),
    ("bcutil", "org.bouncycastle"),
    ("c3p0", "com.mchange"),
    ("catalina", "org.apache.tomcat"),
    ("derby", "org.apache.derby"),
    ("derbyclient", "org.apache.derby"),
    ("derbynet", "org.apache.derby"),
    ("derbytools", "org.apache.derby"),
    ("elasticsearch", "org.elasticsearch"),
    ("elasticsearch-rest", "org.elasticsearch.client"),
    ("graphql-java", "com.graphql-java"),
    ("grpc", "io.grpc"),
    ("grpc-google", "com.google.api.grpc"),
    ("h2", "com.h2database"),
    ("json-path", "com.jayway.jsonpath"),
    ("kafka", "org.apache.kafka"),
    ("kotlin", "org.jetbrains.kotlin"),
    ("kotlinx", "org.jetbrains.kotlinx"),
    ("ktor", "io.ktor"),
    ("logging-interceptor", "com.squareup.okhttp3"),
    ("lucene", "org.apache.lucene"),
    ("micrometer", "io.micrometer"),
    ("mockwebserver", "com.squareup.okhttp3"),
    ("moshi", "com.squareup.moshi"),
    ("mysql-connector-j", "com.mysql"),
    ("mysql-connector-java", "mysql"),
    ("okhttp", "com.squareup.okhttp3"),
    ("okio", "com.squareup.okio"),
    ("opensearch", "org.opensearch"),
    ("opensearch-rest", "org.opensearch.client"),
    ("postgresql", "org.postgresql"),
    ("reactor-core", "io.projectreactor"),
    ("reactor-netty", "io.projectreactor.netty"),
    ("retrofit", "com.squareup.retrofit2"),
    ("solr", "org.apache.solr"),
    ("spring-amqp", "org.springframework.amqp"),
    ("spring-aop", "org.springframework"),
    ("spring-aspects", "org.springframework"),
    ("spring-batch", "org.springframework.batch"),
    ("spring-beans", "org.springframework"),
    ("spring-boot", "org.springframework.boot"),
    ("spring-context", "org.springframework"),
    ("spring-core", "org.springframework"),
    ("spring-expression", "org.springframework"),
    ("spring-graphql", "org.springframework.graphql"),
    ("spring-instrument", "org.springframework"),
    ("spring-integration", "org.springframework.integration"),
    ("spring-jcl", "org.springframework"),
    ("spring-jdbc", "org.springframework"),
    ("spring-jms", "org.springframework"),
    ("spring-kafka", "org.springframework.kafka"),
    ("spring-ldap", "org.springframework.ldap"),
    ("spring-messaging", "org.springframework"),
    ("spring-orm", "org.springframework"),
    ("spring-oxm", "org.springframework"),
    ("spring-r2dbc", "org.springframework"),
    ("spring-rabbit", "org.springframework.amqp"),
    ("spring-security", "org.springframework.security"),
    ("spring-session", "org.springframework.session"),
    ("spring-test", "org.springframework"),
    ("spring-tx", "org.springframework"),
    ("spring-web", "org.springframework"),
    ("spring-webflow", "org.springframework.webflow"),
    ("spring-webflux", "org.springframework"),
    ("spring-webmvc", "org.springframework"),
    ("spring-websocket", "org.springframework"),
    ("spring-ws", "org.springframework.ws"),
    ("tomcat", "org.apache.tomcat"),
    ("tomcat-embed", "org.apache.tomcat.embed"),
    ("xalan", "xalan"),
    ("xercesImpl", "xerces"),
    ("zookeeper", "org.apache.zookeeper"),
];

/// The group of an artifact that everybody knows.
pub(super) fn of(artifact: &str) -> Option<&'static str> {
    let is_of =
        |start: &str| artifact.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']));
    let known = GROUPS.iter().filter(|(start, _)| is_of(start)).max_by_key(|(start, _)| start.len());
    known.map(|(_, group)| *group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_counts_and_ends_at_a_separator() {
        for (artifact, group) in [
            ("spring-core", Some("org.springframework")),
            ("spring-boot", Some("org.springframework.boot")),
            ("spring-boot-starter-web", Some("org.springframework.boot")),
            ("spring-web", Some("org.springframework")),
            ("spring-webbed", None),
            ("kafka_2.13", Some("org.apache.kafka")),
            ("kotlin-stdlib-jdk8", Some("org.jetbrains.kotlin")),
            ("tomcat-embed-core", Some("org.apache.tomcat.embed")),
            ("tomcat-coyote", Some("org.apache.tomcat")),
            ("spring", None),
            ("", None),
        ] {
            assert_eq!(of(artifact), group, "{artifact}");
        }
    }
}
