package reload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// readVolumes reads a directory of mounted directories: their files by the
// directory's name, a slash, and the file's. One that is not there is empty.
func readVolumes(dir string) (map[string][]byte, error) {
	names, err := volumesIn(dir)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, name := range names {
		content, err := readDir(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		for file, data := range content {
			out[name+"/"+file] = data
		}
	}
	return out, nil
}

func volumesIn(dir string) ([]string, error) {
	if dir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), "..") {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// within are the files of one directory of such, by file name.
func within(files map[string][]byte, directory string) map[string][]byte {
	out := map[string][]byte{}
	for path, content := range files {
		if file, ok := strings.CutPrefix(path, directory+"/"); ok {
			out[file] = content
		}
	}
	return out
}
