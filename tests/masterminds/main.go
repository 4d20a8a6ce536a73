// Command masterminds prints the table that holds Tagtide's ranges to the language of Masterminds/semver.
//
// Each row is: range, TAB, tags split by spaces, TAB, the tag that Flux would pick, or - for none, or ! for a range that
// the library refuses. A range that holds a tab, a line break or nothing is written in Go's quotes.
//
//	go run . > table.tsv
package main

import (
	"bufio"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	seen := map[string]bool{}
	row := func(constraint string, tags []string) {
		line := fmt.Sprintf("%s\t%s\t%s", spelled(constraint), strings.Join(tags, " "), pick(constraint, tags))
		if !seen[line] {
			seen[line] = true
			fmt.Fprintln(out, line)
		}
	}
	for _, constraint := range simpleRanges() {
		for _, tags := range lists {
			row(constraint, tags)
		}
	}
	for _, constraint := range oddRanges {
		row(constraint, everyTag)
	}
	// One tag a row shows exactly where a bound lies; the long lists only show the highest within.
	for _, constraint := range boundaryRanges {
		for _, tag := range everyTag {
			row(constraint, []string{tag})
		}
	}
	// A fixed seed, so that the table changes only when this program or the library does.
	random := rand.New(rand.NewSource(3))
	for range 600 {
		row(randomRange(random), randomTags(random))
	}
}

// spelled quotes what would not survive as a field of a line.
func spelled(constraint string) string {
	if constraint == "" || strings.ContainsAny(constraint, "\t\n\r\f\v\"") {
		return strconv.Quote(constraint)
	}
	return constraint
}

// pick is the choice of Flux's image-reflector-controller: two dots make a version, the highest in range wins.
func pick(constraint string, tags []string) string {
	constraints, err := semver.NewConstraint(constraint)
	if err != nil {
		return "!"
	}
	var best *semver.Version
	for _, tag := range tags {
		if strings.Count(tag, ".") < 2 {
			continue
		}
		version, err := semver.NewVersion(tag)
		if err != nil || !constraints.Check(version) {
			continue
		}
		if best != nil && best.Equal(version) {
			panic("two tags of one version in a list, which the library leaves to the list's order: " + tag)
		}
		if best == nil || version.GreaterThan(best) {
			best = version
		}
	}
	if best == nil {
		return "-"
	}
	return best.Original()
}
