package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/kio/kioutil"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// token is what a file must hold to be parsed at all.
const token = `"$imagepolicy"`

// marked reads the files of a folder that hold a marker.
type marked struct{ folder string }

func (m marked) Read() ([]*yaml.RNode, error) {
	var all []*yaml.RNode
	err := filepath.WalkDir(m.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isYAML(path) {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(token)) {
			return err
		}
		relative, err := filepath.Rel(m.folder, path)
		if err != nil {
			return err
		}
		reader := &kio.ByteReader{
			Reader:            bytes.NewReader(text),
			SetAnnotations:    map[string]string{kioutil.PathAnnotation: relative},
			PreserveSeqIndent: true,
		}
		// A file that does not parse is passed over.
		if nodes, err := reader.Read(); err == nil {
			all = append(all, nodes...)
		}
		return nil
	})
	return all, err
}

func isYAML(path string) bool {
	extension := filepath.Ext(path)
	return extension == ".yaml" || extension == ".yml" || filepath.Base(path) == "Kustomization"
}

// setImages writes the images into the marked values of a folder, and returns the files that changed.
func setImages(folder string, images map[string]string) (map[string]bool, error) {
	changed := map[string]bool{}
	set := kio.FilterFunc(func(nodes []*yaml.RNode) ([]*yaml.RNode, error) {
		paths := make([]string, len(nodes))
		for i, node := range nodes {
			path, _, err := kioutil.GetFileAnnotations(node)
			if err != nil {
				return nil, err
			}
			paths[i] = path
			if setIn(node.YNode(), images) {
				changed[path] = true
			}
		}
		var written []*yaml.RNode
		for i, node := range nodes {
			if changed[paths[i]] {
				written = append(written, node)
			}
		}
		return written, nil
	})
	return changed, kio.Pipeline{
		Inputs:  []kio.Reader{marked{folder}},
		Filters: []kio.Filter{set},
		Outputs: []kio.Writer{kio.LocalPackageWriter{PackagePath: folder}},
	}.Execute()
}

// setIn sets every marked scalar below a node; whether one of them changed.
func setIn(node *yaml.Node, images map[string]string) bool {
	isChanged := false
	for _, inner := range node.Content {
		isChanged = setIn(inner, images) || isChanged
	}
	if node.Kind != yaml.ScalarNode || !strings.Contains(node.LineComment, token) {
		return isChanged
	}
	var marker map[string]string
	if json.Unmarshal([]byte(strings.TrimLeft(node.LineComment, "#")), &marker) != nil {
		return isChanged
	}
	image, isWanted := images[marker["$imagepolicy"]]
	if !isWanted || image == node.Value {
		return isChanged
	}
	node.Value = image
	return true
}
