// An index of the words of text files in a database: which lines of which files have a word, and which words
// begin with some letters. Written for LevelDB's C++ interface; it does not mention Terrace.
//
//   wordindex add DB FILE...        indexes files; replaces the entries of files that were indexed before
//   wordindex remove DB FILE...     removes files from the index
//   wordindex find DB WORD          prints the places of a word
//   wordindex words DB PREFIX       prints the words that begin with PREFIX, and the number of places of each
//
// The database has three kinds of keys. A NUL ends each part of a key, so that no part is a prefix of
// another:
//
//   f FILE                          -> the number of places in the file
//   o FILE WORD LINE                -> nothing; finds the places of a file when it is removed
//   w WORD FILE LINE                -> the text of the line

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "leveldb/cache.h"
#include "leveldb/db.h"
#include "leveldb/filter_policy.h"
#include "leveldb/write_batch.h"

namespace {

const char kEnd = '\0';

// On a failure, prints it and ends the program.
void Check(const leveldb::Status& status) {
  if (status.ok()) return;
  std::cerr << "wordindex: " << status.ToString() << "\n";
  std::exit(1);
}

std::string Key(char kind, const std::vector<std::string>& parts) {
  std::string key(1, kind);
  for (const std::string& part : parts) key += part + kEnd;
  return key;
}

// The parts of a key after its kind.
std::vector<std::string> Parts(leveldb::Slice key) {
  std::vector<std::string> parts(1);
  for (size_t i = 1; i < key.size(); i++) {
    if (key[i] == kEnd) {
      parts.emplace_back();
    } else {
      parts.back() += key[i];
    }
  }
  parts.pop_back();
  return parts;
}

// A line number as a string whose byte order is that of numbers.
std::string LineKey(size_t line) {
  char text[16];
  std::snprintf(text, sizeof(text), "%09zu", line);
  return text;
}

std::set<std::string> Words(const std::string& line) {
  std::set<std::string> words;
  std::string word;
  for (const char c : line + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      words.insert(word);
      word.clear();
    }
  }
  return words;
}

// Adds the deletion of all entries of a file to `batch`. Returns the number of places deleted.
size_t Forget(leveldb::DB* db, const std::string& file, leveldb::WriteBatch* batch) {
  const std::string prefix = Key('o', {file});
  const std::unique_ptr<leveldb::Iterator> iterator(db->NewIterator(leveldb::ReadOptions()));
  size_t places = 0;
  for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix); iterator->Next()) {
    const std::vector<std::string> parts = Parts(iterator->key());
    batch->Delete(iterator->key());
    batch->Delete(Key('w', {parts[1], parts[0], parts[2]}));
    places++;
  }
  Check(iterator->status());
  batch->Delete(Key('f', {file}));
  return places;
}

void Add(leveldb::DB* db, const std::string& file) {
  std::ifstream input(file);
  if (!input) Check(leveldb::Status::IOError(file, "cannot be read"));
  // One batch per file: the index has either the old or the new entries of the file.
  leveldb::WriteBatch batch;
  const size_t before = Forget(db, file, &batch);
  std::string line;
  size_t number = 0, places = 0;
  while (std::getline(input, line)) {
    number++;
    for (const std::string& word : Words(line)) {
      batch.Put(Key('o', {file, word, LineKey(number)}), "");
      batch.Put(Key('w', {word, file, LineKey(number)}), line);
      places++;
    }
  }
  batch.Put(Key('f', {file}), std::to_string(places));
  leveldb::WriteOptions options;
  options.sync = true;
  Check(db->Write(options, &batch));
  std::cout << file << ": " << number << " lines, " << places << " places, " << before << " before\n";
}

void Remove(leveldb::DB* db, const std::string& file) {
  leveldb::WriteBatch batch;
  const size_t places = Forget(db, file, &batch);
  Check(db->Write(leveldb::WriteOptions(), &batch));
  std::cout << file << ": " << places << " places forgotten\n";
}

void Find(leveldb::DB* db, const std::string& word) {
  const std::string prefix = Key('w', {word});
  const std::unique_ptr<leveldb::Iterator> iterator(db->NewIterator(leveldb::ReadOptions()));
  for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix); iterator->Next()) {
    const std::vector<std::string> parts = Parts(iterator->key());
    std::cout << parts[1] << ":" << std::stoul(parts[2]) << ": " << iterator->value().ToString() << "\n";
  }
  Check(iterator->status());
}

void ListWords(leveldb::DB* db, const std::string& beginning) {
  const std::string prefix = "w" + beginning;
  const std::unique_ptr<leveldb::Iterator> iterator(db->NewIterator(leveldb::ReadOptions()));
  std::string word;
  size_t places = 0;
  const auto print = [&] {
    if (places != 0) std::cout << word << " " << places << "\n";
  };
  for (iterator->Seek(prefix); iterator->Valid() && iterator->key().starts_with(prefix); iterator->Next()) {
    const std::string next = Parts(iterator->key())[0];
    if (next != word) {
      print();
      word = next;
      places = 0;
    }
    places++;
  }
  print();
  Check(iterator->status());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 3 ? argv[1] : "";
  if (command != "add" && command != "remove" && command != "find" && command != "words") {
    std::cerr << "usage: wordindex add|remove|find|words DB FILE...|WORD|PREFIX\n";
    return 2;
  }
  const std::unique_ptr<leveldb::Cache> cache(leveldb::NewLRUCache(16 << 20));
  const std::unique_ptr<const leveldb::FilterPolicy> filter(leveldb::NewBloomFilterPolicy(10));
  leveldb::Options options;
  options.create_if_missing = command == "add";
  options.block_cache = cache.get();
  options.filter_policy = filter.get();
  leveldb::DB* opened = nullptr;
  Check(leveldb::DB::Open(options, argv[2], &opened));
  const std::unique_ptr<leveldb::DB> db(opened);
  for (int i = 3; i < argc; i++) {
    if (command == "add") Add(db.get(), argv[i]);
    if (command == "remove") Remove(db.get(), argv[i]);
    if (command == "find") Find(db.get(), argv[i]);
    if (command == "words") ListWords(db.get(), argv[i]);
  }
  return 0;
}
