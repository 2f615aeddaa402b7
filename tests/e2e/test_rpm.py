"""An image of an rpm distribution, whose packages rpm itself built, installed, updated and removed: what we find is what `rpm -qa`
names."""


def test_it_is_what_rpm_names(shell, registry, rpm_root):
    reference = registry.push(f"oci:{rpm_root}/oci:latest", "team/rpm:1.0")
    report = shell.scan(reference, "--offline", "--no-cache", "--include-owned", registry=registry)
    assert report["distro"]["ecosystem"] == "Rocky Linux:9"
    assert [problem for problem in report["problems"] if problem["kind"] != "no-advisories"] == []

    found = {row["name"]: row for row in report["packages"] if row["type"] == "rpm"}
    architecture = {name: row["purl"].split("arch=")[1].split("&")[0] for name, row in found.items()}
    source = {name: f"{row['source']['name']}-{row['source']['version']}.src.rpm" for name, row in found.items()}
    rows = [(name, row["version"], architecture[name], source[name]) for name, row in sorted(found.items())]
    expected = [tuple(line.split("\t")) for line in (rpm_root / "packages.tsv").read_text().splitlines()]
    assert rows == sorted(expected) and len(expected) == 5
    assert found["modular"]["module"] == "tides:9:20240102030405:abcdef"

    (python,) = [row for row in report["packages"] if row["type"] == "pypi"]
    assert (rpm_root / "owner").read_text().strip() == "python3"
    assert python["owned_by"] == found["python3"]["purl"]
