// The reference of the benchmark of scans: tag lists read and ranked as Flux's image-reflector-controller does it, with the
// modules that it is made of. go-containerregistry lists, Masterminds ranks, four images at a time, which is Flux's default. There
// is no Kubernetes around it, no metrics and no database of tags, so that it costs less than the real one.
//
// It prints one line of JSON: what was chosen, and what this process took from its start on.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

type outcome struct {
	// Winner is the tag that every image chose.
	Winner string `json:"winner"`
	// WallSeconds runs from the start of main to the end of all work.
	WallSeconds float64 `json:"wallSeconds"`
	// CPUSeconds is user and system time.
	CPUSeconds float64 `json:"cpuSeconds"`
	// PeakKiB is the most resident memory.
	PeakKiB int64 `json:"peakKiB"`
}

func main() {
	began := time.Now()
	host := flag.String("host", "", "host and port of the registry")
	images := flag.Int("images", 1, "how many images there are: acme/app-0 and so on")
	rounds := flag.Int("rounds", 1, "how often each is scanned")
	concurrent := flag.Int("concurrent", 4, "how many are scanned at once")
	wanted := flag.String("range", "*", "range of versions")
	flag.Parse()

	winner, err := run(*host, *images, *rounds, *concurrent, *wanted)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
	result := outcome{Winner: winner, WallSeconds: time.Since(began).Seconds()}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
	result.CPUSeconds = seconds(usage.Utime) + seconds(usage.Stime)
	result.PeakKiB = int64(usage.Maxrss)
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(host string, images, rounds, concurrent int, wanted string) (string, error) {
	constraint, err := semver.NewConstraint(wanted)
	if err != nil {
		return "", err
	}
	work := make(chan int)
	var (
		group  sync.WaitGroup
		lock   sync.Mutex
		winner string
		failed error
	)
	for range concurrent {
		group.Go(func() {
			for image := range work {
				chosen, err := scan(fmt.Sprintf("%s/acme/app-%d", host, image), constraint)
				lock.Lock()
				failed = errors.Join(failed, err)
				winner = chosen
				lock.Unlock()
			}
		})
	}
	for range rounds {
		for image := range images {
			work <- image
		}
	}
	close(work)
	group.Wait()
	return winner, failed
}

// scan lists the tags of an image and gives the highest in the range.
func scan(image string, constraint *semver.Constraints) (string, error) {
	repository, err := name.NewRepository(image, name.Insecure)
	if err != nil {
		return "", err
	}
	tags, err := remote.List(repository, remote.WithContext(context.Background()))
	if err != nil {
		return "", err
	}
	var best *semver.Version
	for _, tag := range tags {
		version, err := semver.NewVersion(tag)
		if err != nil || !constraint.Check(version) {
			continue
		}
		if best == nil || version.GreaterThan(best) {
			best = version
		}
	}
	if best == nil {
		return "", errors.New("no tag is in the range")
	}
	return best.Original(), nil
}

func seconds(time syscall.Timeval) float64 {
	return float64(time.Sec) + float64(time.Usec)/1e6
}
