package main

import (
	"fmt"
	"math/rand"
)

// everyTag has versions around every bound, and tags that are no versions.
var everyTag = []string{
	"latest", "1", "v2", "1.2", "v1.9", "1-rc.1", "1.2.3.4", "1.2.3-01", "1.2.3-rc..1", "V9.9.9", "9.9.9-", "99999999999999999999.0.0", "sha-1.2.3", "9.9.x",
	"0.0.0-rc.1", "0.0.0", "0.0.3-rc.1", "0.0.3", "0.0.4", "0.1.0", "0.2.0-rc.1", "0.2.0", "0.2.3", "0.2.9", "0.3.0-rc.1", "0.3.0", "0.9.9",
	"1.0.0-0", "1.0.0-rc.1", "1.0.0", "1.2.0-rc.1", "1.2.0", "1.2.1-rc.1", "v1.2.2", "1.2.3-0", "1.2.3-alpha", "1.2.3-alpha.1", "1.2.3-beta.2", "1.2.3-beta.11", "1.2.3-rc-1",
	"1.2.3-rc.1", "1.2.3", "1.2.4-rc.1", "1.02.09", "1.3.0-rc.1", "1.3.0", "v1.9.9", "1.10.0-rc.2", "1.10.0",
	"2.0.0-0", "2.0.0-rc.1", "2.0.0-rc.2", "2.0.0", "2.0.5", "v2.1.0", "3.0.0-rc.1", "3.0.1", "4.0.0", "2025.02.03", "18446744073709551615.0.0",
}

var releases = []string{"0.0.0", "0.0.3", "v0.0.9", "0.2.3", "0.2.10", "1.0.0", "1.2.3", "v1.2.20", "1.9.9", "2.0.0", "2.0.5"}

// lists are the tag lists that every simple range is tried with.
var lists = [][]string{
	releases,
	{"0.0.0", "0.0.1-rc.1", "0.0.3", "0.0.3-rc.1", "0.1.0-rc.1", "0.1.9", "0.2.3", "0.2.9", "0.3.0-rc.1", "latest"},
	{"1.0.0-rc.1", "1.2.0", "1.2.3", "1.2.3-rc.1", "1.2.9-rc.1", "v1.3.0", "2.0.0-rc.1", "2.0.0-rc.2", "2.0.0", "2"},
}

// randomTags are up to a dozen tags of different versions.
func randomTags(random *rand.Rand) []string {
	suffixes := []string{"", "", "", "-0", "-rc.1", "-rc.2", "-beta.2"}
	var tags []string
	taken := map[string]bool{}
	for range 1 + random.Intn(12) {
		version := fmt.Sprintf("%d.%d.%d%s", random.Intn(4), random.Intn(4), random.Intn(4), suffixes[random.Intn(len(suffixes))])
		if taken[version] {
			continue
		}
		taken[version] = true
		if random.Intn(4) == 0 {
			version = "v" + version
		}
		tags = append(tags, version)
	}
	return tags
}
