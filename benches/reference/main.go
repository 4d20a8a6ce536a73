// The reference of the benchmark: one update run as Flux's image-automation-controller does it, with the modules that
// it is made of. A shallow clone into a new folder, markers by kyaml, a commit of what git status finds, a push, and the
// folder removed. There is no Kubernetes around it, no metrics and no templates, so that it costs less than the real one.
//
// It prints one line of JSON: what was done, and what this process took from its start on.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/fluxcd/pkg/git"
	"github.com/fluxcd/pkg/git/gogit"
	"github.com/fluxcd/pkg/git/repository"
)

type outcome struct {
	// Commit is the id of the pushed commit; empty where nothing was to do.
	Commit string `json:"commit"`
	// Files is how many files changed.
	Files int `json:"files"`
	// WallSeconds runs from the start of main to the end of all work.
	WallSeconds float64 `json:"wallSeconds"`
	// CPUSeconds is user and system time.
	CPUSeconds float64 `json:"cpuSeconds"`
	// PeakKiB is the most resident memory.
	PeakKiB int64 `json:"peakKiB"`
}

func main() {
	began := time.Now()
	url := flag.String("url", "", "address of the repository")
	branch := flag.String("branch", "main", "branch to read and to push to")
	wishes := flag.String("images", "", "file with one `namespace:name image:tag` a line")
	observed := flag.String("observed", "", "commit at which nothing is to be done, as main@sha1:<id>")
	flag.Parse()

	result, err := run(*url, *branch, *wishes, *observed)
	if err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
	result.WallSeconds = time.Since(began).Seconds()
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

func run(url, branch, wishes, observed string) (result outcome, err error) {
	images, err := readImages(wishes)
	if err != nil {
		return result, err
	}
	folder, err := os.MkdirTemp("", "reference-")
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	ctx := context.Background()
	options := []gogit.ClientOption{gogit.WithDiskStorage(), gogit.WithInsecureCredentialsOverHTTP()}
	client, err := gogit.NewClient(folder, &git.AuthOptions{Transport: git.HTTP}, options...)
	if err != nil {
		return result, err
	}
	head, err := client.Clone(ctx, url, repository.CloneConfig{
		CheckoutStrategy:   repository.CheckoutStrategy{Branch: branch},
		LastObservedCommit: observed,
		ShallowClone:       true,
	})
	if err != nil {
		return result, fmt.Errorf("clone: %w", err)
	}
	if !git.IsConcreteCommit(*head) {
		return result, nil
	}
	changed, err := setImages(folder, images)
	if err != nil {
		return result, fmt.Errorf("setters: %w", err)
	}
	if len(changed) == 0 {
		return result, nil
	}
	result.Files = len(changed)
	author := git.Signature{Name: "Reference", Email: "reference@example.com", When: time.Now()}
	result.Commit, err = client.Commit(git.Commit{Author: author, Message: "Update images"})
	if err != nil {
		return result, fmt.Errorf("commit: %w", err)
	}
	if err := client.Push(ctx, repository.PushConfig{}); err != nil {
		return result, fmt.Errorf("push: %w", err)
	}
	return result, nil
}

func readImages(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	images := map[string]string{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		policy, image, found := strings.Cut(lines.Text(), " ")
		if !found {
			return nil, fmt.Errorf("%s: %q is no policy and image", path, lines.Text())
		}
		images[policy] = image
	}
	return images, lines.Err()
}

func seconds(time syscall.Timeval) float64 {
	return float64(time.Sec) + float64(time.Usec)/1e6
}
